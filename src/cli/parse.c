#include "cli/cli.h"

#include "os/file.h"

#include <unistd.h>

static const struct param *
next_positional(const struct verb *verb, const json_t *args)
{
	char key[LABEL_MAX + 1];

	for (size_t i = 0; i < verb->param_count; i++) {
		param_key(&verb->params[i], key);
		if (verb->params[i].positional && verb->params[i].type != PARAM_COMMAND &&
		    (verb->params[i].many || json_object_get(args, key) == NULL))
			return &verb->params[i];
	}
	return NULL;
}

static enum status
wrong(const struct param *param, const char *value, const char *wanted, struct buf *why)
{
	return why_not(why, BAD_INPUT, "%s%s: \"%s\" is not %s", param->positional ? "" : "--",
	               param->positional ? param->placeholder : param->name, value, wanted);
}

/* A list: given again, or with commas, which a pair's value may hold. */
static enum status
set_many(const struct param *param, json_t *args, const char *key, const char *value, struct buf *why)
{
	json_t *list = json_object_get(args, key), *text;

	if (list == NULL) {
		list = json_array();
		json_object_set_new(args, key, list);
	}
	while (*value != '\0') {
		size_t len = param->type == PARAM_PAIR ? strlen(value) : strcspn(value, ",");

		text = len == 0 ? NULL : json_stringn(value, len);
		if (len > 0 && text == NULL)
			return why_not(why, BAD_INPUT, "%s is not valid UTF-8", param->name);
		if (len > 0)
			json_array_append_new(list, text);
		value += len;
		value += *value == ',';
	}
	return OK;
}

static enum status
set(const struct param *param, const char *value, json_t *args, struct buf *why)
{
	char key[LABEL_MAX + 1];
	int64_t whole;
	double number;
	json_t *text;

	param_key(param, key);
	switch (param->type) {
	case PARAM_WHOLE:
		if (str_integer(value, 0, INT64_MAX, &whole) != OK)
			return wrong(param, value, "a whole number, 0 or more", why);
		json_object_set_new(args, key, json_integer(whole));
		return OK;
	case PARAM_DURATION:
	case PARAM_SPAN:
		if (str_duration(value, &whole) != OK)
			return wrong(param, value, "a duration such as 250ms, 30s, 5m, 2h or 7d", why);
		json_object_set_new(args, key, json_integer(whole));
		return OK;
	case PARAM_NUMBER:
		if (str_number(value, &number) != OK)
			return wrong(param, value, "a number", why);
		json_object_set_new(args, key, json_number(number));
		return OK;
	case PARAM_FLAG:
		json_object_set_new(args, key, json_true());
		return OK;
	case PARAM_TEXT:
	case PARAM_LONG:
	case PARAM_BODY:
	case PARAM_PAYLOAD:
	case PARAM_PAIR:
	case PARAM_COMMAND:
		break;
	}
	if (param->many)
		return set_many(param, args, key, value, why);
	text = json_string(value);
	if (text == NULL)
		return why_not(why, BAD_INPUT, "%s is not valid UTF-8", param->name);
	json_object_set_new(args, key, text);
	return OK;
}

/* A long text from a file, or from stdin for "-".  The newlines at its end, of any system, are not of it, save of a body. */
static enum status
set_from(const struct param *param, const char *path, json_t *args, struct buf *why)
{
	char key[LABEL_MAX + 1];
	struct buf text;
	uint64_t dropped = 0;
	size_t limit = param_limit(param);
	enum status status;
	json_t *value;

	buf_init(&text, limit);
	status = str_equal(path, "-") ? file_drain(STDIN_FILENO, &text, &dropped, why) : file_read(path, &text, why);
	if (status == OK && dropped > 0)
		status = why_not(why, BAD_INPUT, "%s: %llu bytes on stdin; the limit is %zu", param->name,
		                 (unsigned long long)text.len + dropped, limit);
	while (status == OK && param->type == PARAM_LONG && text.len > 0 && strchr("\r\n", text.data[text.len - 1]) != NULL)
		text.len--;
	value = status == OK ? json_stringn(text.len == 0 ? "" : text.data, text.len) : NULL;
	buf_release(&text);
	if (status != OK)
		return status;
	if (value == NULL)
		return why_not(why, BAD_INPUT, "%s is not valid UTF-8", param->name);
	param_key(param, key);
	json_object_set_new(args, key, value);
	return OK;
}

/* What comes from stdin if it isn't given. */
static enum status
set_missing(const struct verb *verb, json_t *args, struct buf *why)
{
	for (size_t i = 0; i < verb->param_count; i++)
		if (verb->params[i].type == PARAM_PAYLOAD && json_object_get(args, verb->params[i].name) == NULL)
			return set_from(&verb->params[i], "-", args, why);
	return OK;
}

/* Of an option "NAME_file" the long text NAME; else NULL. */
static const struct param *
long_param(const struct verb *verb, char *name)
{
	const struct param *param;

	if (!str_ends(name, "_file"))
		return NULL;
	name[strlen(name) - strlen("_file")] = '\0';
	param = param_find(verb, name);
	return param != NULL && param_is_long(param) ? param : NULL;
}

/* "--name value", "--name=value" or "--flag"; *used words. */
static enum status
parse_option(const struct verb *verb, int count, char **words, json_t *args, int *used, struct buf *why)
{
	const char *word = words[0] + 2, *equals = strchr(word, '=');
	char name[LABEL_MAX + 1];
	const struct param *param, *file = NULL;

	*used = 1;
	snprintf(name, sizeof name, "%.*s", equals == NULL ? LABEL_MAX : (int)(equals - word), word);
	for (char *c = name; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
	param = param_find(verb, name);
	if (param == NULL && (file = long_param(verb, name)) != NULL)
		param = file;
	if (param == NULL || (param->positional && !param->many && file == NULL))
		return why_not(why, USAGE, "%s: no option %.100s; see `stile help %s`", verb->name, words[0], verb->name);
	if (param->type == PARAM_FLAG)
		return equals == NULL ? set(param, "", args, why)
		                      : why_not(why, USAGE, "%s: --%s takes no value", verb->name, param->name);
	if (equals == NULL && count < 2)
		return why_not(why, USAGE, "%s: --%s%s needs a value", verb->name, param->name, file == NULL ? "" : "-file");
	*used = equals == NULL ? 2 : 1;
	if (param_is_long(param) && json_object_get(args, name) != NULL)
		return why_not(why, USAGE, "%s: --%s is given twice, by itself or with --%s-file", verb->name, param->name,
		               param->name);
	return (file == NULL ? set : set_from)(param, equals == NULL ? words[1] : equals + 1, args, why);
}

bool
cli_wants_json(int count, char **words)
{
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
		if (str_equal(words[i], "--json"))
			return true;
	return false;
}

bool
cli_takes_command(const struct verb *verb)
{
	for (size_t i = 0; i < verb->param_count; i++)
		if (verb->params[i].type == PARAM_COMMAND)
			return true;
	return false;
}

static enum status
parse_words(const struct verb *verb, int count, char **words, json_t *args, char *const **command, bool *json, struct buf *why)
{
	bool options = true;
	int used;

	*json = false;
	*command = NULL;
	for (int i = 0; i < count; i += used) {
		const struct param *param;
		enum status status;

		used = 1;
		if (options && str_equal(words[i], "--")) {
			if (cli_takes_command(verb)) {
				*command = i + 1 < count ? words + i + 1 : NULL;
				return OK;
			}
			options = false;
			continue;
		}
		if (options && str_equal(words[i], "--json")) {
			*json = true;
			continue;
		}
		if (options && str_starts(words[i], "--")) {
			status = parse_option(verb, count - i, words + i, args, &used, why);
		} else {
			param = next_positional(verb, args);
			if (param == NULL)
				return why_not(why, USAGE, "%s: what is \"%.100s\"?  See `stile help %s`", verb->name, words[i], verb->name);
			status = (options && param_is_long(param) && str_equal(words[i], "-") ? set_from : set)(param, words[i], args, why);
		}
		if (status != OK)
			return status;
	}
	return OK;
}

enum status
cli_parse(const struct verb *verb, int count, char **words, json_t *args, char *const **command, bool *json, struct buf *why)
{
	enum status status = parse_words(verb, count, words, args, command, json, why);

	if (status == OK)
		status = set_missing(verb, args, why);
	/* it stopped at what is wrong; how to say so may stand after it */
	if (status != OK)
		*json = cli_wants_json(count, words);
	return status;
}
