# zsh.zsh SCRIPT LINE... prints what zsh, with a completion function, offers for
# each line: a word a line, and "--end--" behind the last one. It types the lines, a
# tab behind each, into an interactive zsh.
zmodload zsh/zpty
dir=$(mktemp -d) || exit
mkdir $dir/functions
cp $1 $dir/functions/_pen
export ZDOTDIR=$dir OFFERED=$dir/offered
: >$OFFERED
cat >$dir/.zshrc <<'RC'
PROMPT='<ready>'
setopt no_auto_list no_auto_menu
fpath=($ZDOTDIR/functions $fpath)
autoload -Uz compinit && compinit -u -D
# The completion system adds words by compadd; what it adds is noted.
compadd() {
	if [[ ${@[1,(i)(-|--)]} != *-[OAD]\ * ]]; then
		local -a hits
		builtin compadd -A hits "$@"
		print -rl -- $hits >>$OFFERED
	fi
	builtin compadd "$@"
}
finish() {
	print -r -- --end-- >>$OFFERED
	print -n '<done>'
}
complete-and-tell() {
	comppostfuncs=(finish)
	_main_complete
}
zle -C complete-and-tell complete-word complete-and-tell
bindkey '^I' complete-and-tell '^U' kill-whole-line
RC
{
	zpty z zsh -d -i
	zpty -r z log '*<ready>*'
	for line in "${@:2}"; do
		zpty -w -n z $'\C-U'"$line"$'\t'
		zpty -r z log '*<done>*'
	done
	cat $OFFERED
} always {
	zpty -d z
	rm -rf $dir
}
