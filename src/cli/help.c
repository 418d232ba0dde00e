#include "cli/cli.h"
#include "verbs/states.h"

/* What is reached otherwise than through the verb table. */
static const struct extra {
	const char *usage;
	const char *help;
} extras[] = {
	{"hook CLIENT", "one event of an agent's client on stdin, the client's answer on stdout"},
	{"statusline", "Claude Code's status line on stdin, one line on stdout"},
	{"serve [--idle D]", "hold connections to the server for hooks, until nobody asked for so long (5m); never needed"},
	{"help [VERB]", "this, or all about one verb"},
	{"completions SHELL", "the script that completes these words in bash, zsh or fish"},
	{"version", "which stile this is"},
};

static void
usage(const struct verb *verb, FILE *out)
{
	const char *command = NULL;

	fprintf(out, "stile %s", verb->name);
	for (size_t i = 0; i < verb->param_count; i++) {
		const struct param *param = &verb->params[i];
		const char *open = param->required ? "" : "[", *close = param->required ? "" : "]";

		if (param->type == PARAM_COMMAND)
			command = param->placeholder;
		else if (param->positional)
			fprintf(out, " %s%s%s", open, param->placeholder, close);
		else if (param->type == PARAM_FLAG)
			fprintf(out, " %s--%s%s", open, param->name, close);
		else
			fprintf(out, " %s--%s %s%s", open, param->name, param->placeholder, close);
	}
	fprintf(out, " [--json]");
	if (command != NULL)
		fprintf(out, " -- %s", command);
}

static void
help_verb(const struct verb *verb)
{
	printf("usage: ");
	usage(verb, stdout);
	printf("\n\n%s\n", verb->help);
	for (size_t i = 0; i < verb->param_count; i++) {
		const struct param *param = &verb->params[i];
		char name[LABEL_MAX * 2 + 8];

		if (param->positional)
			snprintf(name, sizeof name, "%s", param->placeholder);
		else
			snprintf(name, sizeof name, "--%s%s%s", param->name, param->placeholder == NULL ? "" : " ",
			         param->placeholder == NULL ? "" : param->placeholder);
		printf("%s  %-26s %s%s\n", i == 0 ? "\n" : "", name, param->help, param->many ? " (may be given again)" : "");
		if (param_is_long(param))
			printf("  --%s-file FILE%*s the same from a file; %s may also be `-`, for stdin\n", param->name,
			       (int)(14 > strlen(param->name) ? 14 - strlen(param->name) : 1), "",
			       param->positional ? param->placeholder : "FILE");
	}
}

static void
help_all(void)
{
	const struct verb *verb;

	printf("usage: stile VERB [--json] ...\n\n");
	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++)
		printf("  %-22s %s\n", verb->name, verb->help);
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
		printf("  %-22s %s\n", extras[i].usage, extras[i].help);
	printf("\n`stile help VERB` tells all about one.\n");
}

/* A text as scdoc takes it: its marks escaped. */
static void
scdoc_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("_*\\#~<>", *text) != NULL)
			putchar('\\');
		putchar(*text);
	}
}

static void
scdoc_verb(const struct verb *verb)
{
	printf("*stile %s*", verb->name);
	for (size_t i = 0; i < verb->param_count; i++) {
		const struct param *param = &verb->params[i];

		printf(" %s%s", param->type == PARAM_COMMAND ? "-- " : "", param->required ? "" : "[");
		if (!param->positional)
			printf("--%s%s", param->name, param->placeholder == NULL ? "" : " ");
		if (param->placeholder != NULL)
			printf("_%s_", param->placeholder);
		printf("%s", param->required ? "" : "]");
	}
	printf("\n\t");
	scdoc_text(verb->help);
	printf("\n");
	for (size_t i = 0; i < verb->param_count; i++) {
		const struct param *param = &verb->params[i];

		printf("\n\t*%s%s*: ", param->positional ? "" : "--", param->positional ? param->placeholder : param->name);
		scdoc_text(param->help);
		if (param_is_long(param))
			printf(param->positional ? "; `-` takes it from stdin, *--%s-file* _FILE_ from a file"
			                         : "; *--%s-file* _FILE_ takes it from a file, or for `-` from stdin",
			       param->name);
		printf("\n");
	}
	printf("\n");
}

static void
help_scdoc(void)
{
	const struct verb *verb;
	const struct status_row *row;

	printf("STILE(1)\n\n# NAME\n\nstile - lets many coding agents work on one codebase at once\n\n# SYNOPSIS\n\n"
	       "*stile* _verb_ [*--json*] ...\n\n# VERBS\n\n");
	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++)
		scdoc_verb(verb);
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
		printf("*stile %s*\n\t%s\n\n", extras[i].usage, extras[i].help);
	printf("# EXIT STATUS\n\n");
	for (unsigned i = 0; (row = status_nth(i)) != NULL; i++)
		printf("*%d*\n\t%s\n\n", row->exit, row->sentence);
	printf(
		"What runs a command ends with the command's own status (126: it can't be run, 127: not found, 128 + signal) or, when"
		" Stile refused or failed, with 121 (refused), 122 (busy) or 124 (store or files).\n\n");
	printf("*stile hook* ends with 0, 1 (our failure, bad input) or 2 (blocked, the reason on stderr) and nothing else.\n");
}

static void
help_states(void)
{
	struct buf text;

	buf_init(&text, (size_t)64 << 10);
	states_document(&text);
	fputs(text.data, stdout);
	buf_release(&text);
}

int
cli_help(int count, char **words)
{
	char name[LABEL_MAX * 2 + 2];
	const struct verb *verb;

	if (count == 0) {
		help_all();
		return 0;
	}
	if (str_equal(words[0], "--scdoc")) {
		help_scdoc();
		return 0;
	}
	if (str_equal(words[0], "--states")) {
		help_states();
		return 0;
	}
	snprintf(name, sizeof name, "%.100s%s%.100s", words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
	verb = verb_find(name);
	if (verb == NULL) {
		fprintf(stderr, "stile: no verb \"%s\"; `stile help` lists them\n", name);
		return 64;
	}
	help_verb(verb);
	return 0;
}
