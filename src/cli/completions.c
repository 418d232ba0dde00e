#include "cli/cli.h"

/*
 * The scripts are made from the verb table.  In each a *place* is what stands before the word that is completed: nothing, a verb's
 * first word, or the whole verb.
 */

struct shell {
	const char *name;
	const char *quote; /* of a single quote inside single quotes */
	const char *begin;
	void (*place)(const char *place);
	void (*word)(const char *word, const char *help);
	void (*place_ends)(void);
	void (*verb)(const struct verb *verb);
	const char *end;
};

static const struct shell *shell;
static char place_now[LABEL_MAX * 2 + 20];

static const struct {
	const char *word;
	const char *help;
} others[] = {
	{"hook", "one event of an agent's client"},
	{"statusline", "Claude Code's status line"},
	{"serve", "hold connections to the server"},
	{"help", "all about a verb"},
	{"completions", "a script that completes this command's words"},
	{"version", "which stile this is"},
};

static void
put_quoted(const char *text)
{
	putchar('\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			fputs(shell->quote, stdout);
		else
			putchar(*text);
	putchar('\'');
}

static bool
takes_file(const struct param *param)
{
	return param->placeholder != NULL && (str_equal(param->placeholder, "FILE") || str_equal(param->placeholder, "PATH"));
}

static bool
takes_value(const struct param *param)
{
	return param->type != PARAM_FLAG;
}

static void
say_json(void)
{
	shell->word("--json", "the answer as one JSON object");
}

/* After which words a value, or a file's name, comes: a variable of the script. */
static void
say_values(const struct verb *verb, const char *variable, bool files)
{
	printf(" %s='", variable);
	for (size_t i = 0; i < verb->param_count; i++)
		if (!verb->params[i].positional && takes_value(&verb->params[i]) && takes_file(&verb->params[i]) == files)
			printf("--%s ", verb->params[i].name);
	printf("'");
}

/* The branch of a verb, whose words after the second are not looked at. */
static void
begin_branch(const struct verb *verb)
{
	printf("\t'%s'", verb->name);
	if (strchr(verb->name, ' ') == NULL)
		printf(" | '%s '*", verb->name);
	printf(")");
	say_values(verb, "values", false);
	say_values(verb, "files", true);
}

/* bash: words are kept apart by spaces, and have no help. */
static void
bash_place(const char *place)
{
	printf("\t'%s') words='", place);
}

static void
bash_word(const char *word, const char *help)
{
	(void)help;
	printf("%s ", word);
}

static void
bash_place_ends(void)
{
	printf("' ;;\n");
}

static void
bash_verb(const struct verb *verb)
{
	begin_branch(verb);
	printf(" words='");
	for (size_t i = 0; i < verb->param_count; i++)
		if (!verb->params[i].positional)
			printf("--%s ", verb->params[i].name);
	say_json();
	bash_place_ends();
}

/* zsh: each word is "word:help". */
static void
zsh_place(const char *place)
{
	printf("\t'%s') found=(", place);
}

static void
zsh_word(const char *word, const char *help)
{
	char text[WHY_MAX];

	snprintf(text, sizeof text, "%s:%s", word, help);
	putchar(' ');
	put_quoted(text);
}

static void
zsh_place_ends(void)
{
	printf(") ;;\n");
}

static void
zsh_verb(const struct verb *verb)
{
	char name[LABEL_MAX + 3];

	begin_branch(verb);
	printf(" found=(");
	for (size_t i = 0; i < verb->param_count; i++) {
		snprintf(name, sizeof name, "--%s", verb->params[i].name);
		if (!verb->params[i].positional)
			zsh_word(name, verb->params[i].help);
	}
	say_json();
	zsh_place_ends();
}

/* fish: each word is a command of its own, under the condition that it is its place. */
static void
fish_place(const char *place)
{
	snprintf(place_now, sizeof place_now, "at %s", place);
}

static void
fish_word(const char *word, const char *help)
{
	bool option = str_starts(word, "--");

	printf("complete -c stile -n '__stile_%s' %s %s -d ", place_now, option ? "-l" : "-a", option ? word + 2 : word);
	put_quoted(help);
	printf("\n");
}

static void
fish_place_ends(void)
{
}

static void
fish_verb(const struct verb *verb)
{
	snprintf(place_now, sizeof place_now, "within %s", verb->name);
	for (size_t i = 0; i < verb->param_count; i++) {
		const struct param *param = &verb->params[i];

		if (param->positional)
			continue;
		printf("complete -c stile -n '__stile_%s' -l %s %s-d ", place_now, param->name,
		       takes_file(param)    ? "-rF "
		       : takes_value(param) ? "-x "
		                            : "");
		put_quoted(param->help);
		printf("\n");
	}
	say_json();
}

static const struct shell shells[] = {
	{"bash", "'\\''",
     "# Completes the words of stile in bash; made by `stile completions bash`.\n"
     "_stile() {\n"
     "\tlocal word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} place= words= values= files=\n"
     "\n"
     "\t((COMP_CWORD > 1)) && place=${COMP_WORDS[1]}\n"
     "\t((COMP_CWORD > 2)) && place+=\" ${COMP_WORDS[2]}\"\n"
     "\tcase $place in\n",
     bash_place, bash_word, bash_place_ends, bash_verb,
     "\tesac\n"
     "\tif [[ -n $last && \" $files \" == *\" $last \"* ]]; then\n"
     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
     "\telif [[ -n $last && \" $values \" == *\" $last \"* ]]; then\n"
     "\t\tCOMPREPLY=()\n"
     "\telse\n"
     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
     "\tfi\n"
     "}\n"
     "complete -F _stile stile\n"},
	{"zsh", "'\\''",
     "#compdef stile\n"
     "# Completes the words of stile in zsh; made by `stile completions zsh`.\n"
     "_stile() {\n"
     "\tlocal last=${words[CURRENT-1]} place= values= files=\n"
     "\tlocal -a found\n"
     "\n"
     "\t((CURRENT > 2)) && place=${words[2]}\n"
     "\t((CURRENT > 3)) && place+=\" ${words[3]}\"\n"
     "\tcase $place in\n",
     zsh_place, zsh_word, zsh_place_ends, zsh_verb,
     "\tesac\n"
     "\tif [[ \" $files \" == *\" $last \"* ]]; then\n"
     "\t\t_files\n"
     "\telif [[ \" $values \" != *\" $last \"* ]]; then\n"
     "\t\t_describe stile found\n"
     "\tfi\n"
     "}\n"
     "if [[ ${funcstack[1]-} == _stile ]]; then _stile; else compdef _stile stile; fi\n"},
	{"fish", "\\'",
     "# Completes the words of stile in fish; made by `stile completions fish`.\n"
     "function __stile_at\n"
     "\tset -l before (commandline -opc)\n"
     "\tstring match -qr -- \"^\\S+ ?$argv\\$\" \"$before\"\n"
     "end\n"
     "function __stile_within\n"
     "\tset -l before (commandline -opc)\n"
     "\tstring match -qr -- \"^\\S+ $argv( |\\$)\" \"$before\"\n"
     "end\n"
     "complete -c stile -f\n",
     fish_place, fish_word, fish_place_ends, fish_verb, ""},
};

static size_t
first_word(const char *name)
{
	return strcspn(name, " ");
}

/* Whether a verb before it begins with the same word. */
static bool
is_again(size_t n)
{
	const char *name = verb_nth(n)->name;
	size_t len = first_word(name);

	for (size_t i = 0; i < n; i++)
		if (strncmp(verb_nth(i)->name, name, len) == 0 && first_word(verb_nth(i)->name) == len)
			return true;
	return false;
}

/* What one may do with a noun: "add, set, show". */
static void
list_seconds(const char *noun, size_t len, char out[WHY_MAX])
{
	const struct verb *verb;
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++)
		if (strncmp(verb->name, noun, len) == 0 && verb->name[len] == ' ' && used < WHY_MAX)
			used += (size_t)snprintf(out + used, WHY_MAX - used, "%s%s", used == 0 ? "" : ", ", verb->name + len + 1);
}

static void
first_words(void)
{
	char word[LABEL_MAX + 1], seconds[WHY_MAX];
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++) {
		size_t len = first_word(verb->name);

		snprintf(word, sizeof word, "%.*s", (int)len, verb->name);
		list_seconds(verb->name, len, seconds);
		if (!is_again(i))
			shell->word(word, verb->name[len] == '\0' ? verb->help : seconds);
	}
}

/* What may follow the first word of the n-th verb, if anything. */
static void
second_words(const char *before, size_t n)
{
	const char *name = verb_nth(n)->name;
	size_t len = first_word(name);
	char place[LABEL_MAX * 2 + 2];
	const struct verb *verb;

	if (name[len] == '\0' || is_again(n))
		return;
	snprintf(place, sizeof place, "%s%.*s", before, (int)len, name);
	shell->place(place);
	for (size_t i = n; (verb = verb_nth(i)) != NULL; i++)
		if (strncmp(verb->name, name, len + 1) == 0)
			shell->word(verb->name + len + 1, verb->help);
	shell->place_ends();
}

static void
script(void)
{
	const struct verb *verb;

	fputs(shell->begin, stdout);
	shell->place("");
	first_words();
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		shell->word(others[i].word, others[i].help);
	shell->place_ends();
	shell->place("completions");
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		shell->word(shells[i].name, "for this shell");
	shell->place_ends();
	shell->place("help");
	first_words();
	shell->place_ends();
	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++) {
		second_words("", i);
		second_words("help ", i);
	}
	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++)
		shell->verb(verb);
	fputs(shell->end, stdout);
}

int
cli_completions(int count, char **words)
{
	for (size_t i = 0; count == 1 && i < sizeof shells / sizeof *shells; i++)
		if (str_equal(words[0], shells[i].name)) {
			shell = &shells[i];
			script();
			return 0;
		}
	fprintf(stderr, "stile: usage: stile completions bash|zsh|fish\n");
	return 64;
}
