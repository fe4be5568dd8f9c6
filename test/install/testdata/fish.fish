# fish.fish SCRIPT LINE... prints what fish, with a completion script, offers
# for each line: a word a line, with its description behind a tab, and
# "--end--" behind the last one.
source $argv[1]
for line in $argv[2..]
	complete -C $line
	echo --end--
end
