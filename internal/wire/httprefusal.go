package wire

// Bounds of what a client may send, apart from bodies.
const (
	DefaultHead = 16 << 10 // bytes of a head with its empty line, and of all trailers of a request
	LargestHead = 64 << 10 // what that may be set to

	maxFields = 256 // fields of a head, and trailers of a request
	maxEmpty  = 4   // empty lines before a request
	maxSize   = 256 // bytes of the line with a chunk's size
)

// A Refusal is why a request was not handed on. The connection has to end.
type Refusal struct {
	Status string // of the answer, such as "400 Bad Request"
	Reason string // what is wrong, and what would be right; nothing that the client wrote
}

func (e *Refusal) Error() string { return "request refused: " + e.Reason }

// Answer is what the client is told, behind the answers that it is owed.
func (e *Refusal) Answer() string {
	return "HTTP/1.1 " + e.Status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
}

const (
	badRequest     = "400 Bad Request"
	notAllowed     = "405 Method Not Allowed"
	badExpectation = "417 Expectation Failed"
	tooLarge       = "431 Request Header Fields Too Large"
	notImplemented = "501 Not Implemented"
	badVersion     = "505 HTTP Version Not Supported"
)

// ErrLate is for a head, or a line of a body, that takes too long.
var ErrLate = &Refusal{"408 Request Timeout", "it was not complete in time"}

var (
	errRequestLine = &Refusal{badRequest, "the first line is not METHOD TARGET HTTP/1.1 with single spaces"}
	errVersion     = &Refusal{badVersion, "the first line does not end in HTTP/1.0 or HTTP/1.1"}
	errEmptyLines  = &Refusal{badRequest, "more than 4 empty lines before a request"}
	errBareLF      = &Refusal{badRequest, "LF without CR; lines end in CRLF"}
	errBareCR      = &Refusal{badRequest, "CR without LF; lines end in CRLF"}
	errByte        = &Refusal{badRequest, "a byte that may not be in a line, such as a control character"}
	errFold        = &Refusal{badRequest, "a line of the head begins with white space; a field is one line"}
	errName        = &Refusal{badRequest, "a line of the head is not NAME: VALUE, with a token as name and no space before the colon"}
	errHeadSize    = &Refusal{tooLarge, "the head is larger than http_head permits, 16 KiB by default"}
	errFields      = &Refusal{tooLarge, "more than 256 fields"}
	errHost        = &Refusal{badRequest, "not exactly one Host, which is a name or an address; HTTP/1.0 may have none"}
	errLength      = &Refusal{badRequest, "Content-Length is not one decimal number below 2^63"}
	errCoding      = &Refusal{notImplemented, "Transfer-Encoding is not exactly chunked"}
	errFraming     = &Refusal{badRequest, "both Transfer-Encoding and Content-Length, or Transfer-Encoding twice or in HTTP/1.0"}
	errDisguise    = &Refusal{badRequest, "a field that looks like Content-Length or Transfer-Encoding but is not, or Sec-WebSocket-Key1"}
	errConnect     = &Refusal{notAllowed, "CONNECT; a service with http is no forward proxy"}
	errNominated   = &Refusal{badRequest, "Connection or Trailer names a field that frames, routes or forwards, or is not a list of tokens"}
	errUpgrade     = &Refusal{badRequest, "Upgrade is not a list of protocols"}
	errExpect      = &Refusal{badExpectation, "Expect is not exactly one 100-continue"}
	errChunkSize   = &Refusal{badRequest, "a chunk's size is not 1 to 16 hexadecimal digits, below 2^63"}
	errChunkLine   = &Refusal{badRequest, "the line with a chunk's size is longer than 256 bytes"}
	errChunkEnd    = &Refusal{badRequest, "no CRLF after a chunk's data"}
	errTrailer     = &Refusal{badRequest, "a trailer that frames, routes or forwards the request; such fields belong into the head"}
	errTrailerSize = &Refusal{tooLarge, "the trailers are larger than http_head permits, 16 KiB by default"}
)
