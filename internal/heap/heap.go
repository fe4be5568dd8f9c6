// Package heap is a binary heap of any type, whose items know where they are.
package heap

// A Heap keeps the least item on top. New makes one; the zero Heap has no order.
// It is not safe for concurrent use.
type Heap[T any] struct {
	items []T
	less  func(a, b T) bool
	moved func(item T, index int)
}

// New returns an empty heap that less orders. moved, which may be nil, is called
// with the new index of an item that moves, and with -1 when it is removed: Fix and
// Remove take that index.
func New[T any](less func(a, b T) bool, moved func(item T, index int)) Heap[T] {
	return Heap[T]{less: less, moved: moved}
}

// Len returns the number of items.
func (h *Heap[T]) Len() int { return len(h.items) }

// First returns the least item, or the zero value of an empty heap.
func (h *Heap[T]) First() (first T) {
	if len(h.items) > 0 {
		first = h.items[0]
	}
	return first
}

// Items returns all items, the least one first and the others in no useful order.
// The slice belongs to the heap; after a change to several items, call Init.
func (h *Heap[T]) Items() []T { return h.items }

// Map returns a heap of the same order whose items are what f makes of the items,
// at the same indices. f must not change how they compare.
func (h *Heap[T]) Map(f func(T) T) Heap[T] {
	c := Heap[T]{make([]T, len(h.items)), h.less, h.moved}
	for i, item := range h.items {
		c.items[i] = f(item)
	}
	return c
}

// Push adds an item.
func (h *Heap[T]) Push(item T) {
	h.items = append(h.items, item)
	h.put(len(h.items)-1, item)
	h.up(len(h.items) - 1)
}

// Pop removes the least item of a heap that is not empty and returns it.
func (h *Heap[T]) Pop() T {
	first := h.items[0]
	h.Remove(0)
	return first
}

// Remove removes the item at an index.
func (h *Heap[T]) Remove(index int) {
	last := len(h.items) - 1
	if h.moved != nil {
		h.moved(h.items[index], -1)
	}
	item := h.items[last]
	clear(h.items[last:])
	h.items = h.items[:last]
	if index < last {
		h.put(index, item)
		h.Fix(index)
	}
}

// Fix restores the order after the item at an index has changed.
func (h *Heap[T]) Fix(index int) {
	if !h.down(index) {
		h.up(index)
	}
}

// Init restores the order after any number of items have changed.
func (h *Heap[T]) Init() {
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *Heap[T]) put(i int, item T) {
	h.items[i] = item
	if h.moved != nil {
		h.moved(item, i)
	}
}

func (h *Heap[T]) up(i int) {
	for i > 0 && h.less(h.items[i], h.items[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

// down reports whether the item at an index has moved.
func (h *Heap[T]) down(i int) bool {
	start := i
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.items); child++ {
			if h.less(h.items[child], h.items[least]) {
				least = child
			}
		}
		if least == i {
			return i != start
		}
		h.swap(i, least)
		i = least
	}
}

func (h *Heap[T]) swap(i, j int) {
	a, b := h.items[i], h.items[j]
	h.put(i, b)
	h.put(j, a)
}
