#include "base/config.h"

#include "base/str.h"
#include "config_default.h"

#include <ini.h>

void
config_init(struct config *config)
{
	*config = (struct config){0};
}

static void
item_release(struct config_item *item)
{
	free(item->section);
	free(item->key);
	free(item->value);
}

void
config_release(struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		item_release(&config->items[i]);
	free(config->items);
	config_init(config);
}

/* Keys differ sooner than sections do. */
static struct config_item *
find(const struct config *config, const char *section, const char *key)
{
	for (size_t i = 0; i < config->count; i++) {
		struct config_item *item = &config->items[i];

		if (item->key[0] == key[0] && str_equal(item->key, key) && str_equal(item->section, section))
			return item;
	}
	return NULL;
}

static bool
append(struct config *config, const char *section, const char *key, const char *value)
{
	struct config_item item = {strdup(section), strdup(key), strdup(value)};

	if (config->count == config->cap) {
		size_t cap = config->cap == 0 ? 64 : config->cap * 2;
		struct config_item *items = realloc(config->items, cap * sizeof *items);

		if (items != NULL) {
			config->items = items;
			config->cap = cap;
		}
	}
	if (item.section == NULL || item.key == NULL || item.value == NULL || config->count == config->cap) {
		item_release(&item);
		return false;
	}
	config->items[config->count++] = item;
	return true;
}

struct taking {
	struct config *config;
	bool starved;
};

/* inih's callback: 1 is success, and what it makes of a 0 is a line in error. */
static int
take_item(void *user, const char *section, const char *key, const char *value)
{
	struct taking *taking = user;
	struct config_item *item = find(taking->config, section, key);
	char *copy;

	if (item == NULL) {
		taking->starved |= !append(taking->config, section, key, value);
		return !taking->starved;
	}
	copy = strdup(value);
	if (copy == NULL) {
		taking->starved = true;
		return 0;
	}
	free(item->value);
	item->value = copy;
	return 1;
}

/* inih cuts a line at 200 bytes without a word. */
#define LINE_MAX_BYTES 198

/*
 * The text with its comments emptied, which may be as long as they like; the lines keep their numbers.  BAD_CONFIG for a line
 * that would be cut.
 */
static enum status
without_comments(const char *name, const char *text, struct buf *out, struct buf *why)
{
	for (int number = 1; *text != '\0'; number++) {
		size_t len = strcspn(text, "\n"), blank = strspn(text, " \t");
		bool comment = text[blank] == ';' || text[blank] == '#';

		if (!comment && len > LINE_MAX_BYTES)
			return why_not(why, BAD_CONFIG, "%s, line %d: longer than %d bytes", name, number, LINE_MAX_BYTES);
		if (!comment)
			buf_add(out, text, len);
		buf_text(out, "\n");
		text += len;
		text += *text == '\n';
	}
	return buf_status(out) == OK ? OK : why_not(why, NO_MEMORY, "out of memory");
}

enum status
config_add(struct config *config, const char *name, const char *text, struct buf *why)
{
	struct taking taking = {.config = config};
	struct buf plain;
	enum status status;
	int line;

	buf_init(&plain, CONFIG_TEXT_MAX + 1);
	status = without_comments(name, text, &plain, why);
	if (status == OK) {
		line = ini_parse_string(plain.data, take_item, &taking);
		if (taking.starved || line < 0)
			status = why_not(why, NO_MEMORY, "out of memory");
		else if (line > 0)
			status = why_not(why, BAD_CONFIG, "%s, line %d: not a [section] or key = value", name, line);
	}
	buf_release(&plain);
	return status;
}

enum status
config_defaults(struct config *config)
{
	return config_add(config, "built-in settings", config_default, NULL);
}

const char *
config_get(const struct config *config, const char *section, const char *key)
{
	const struct config_item *item = find(config, section, key);

	return item == NULL ? NULL : item->value;
}

enum status
config_whole(const struct config *config, const char *section, const char *key, int64_t *out, struct buf *why)
{
	const char *value = config_get(config, section, key);

	if (value == NULL || str_integer(value, 0, INT64_MAX, out) != OK)
		return why_not(why, BAD_CONFIG, "config: [%s] %s = %s is not a whole number", section, key,
		               value == NULL ? "(missing)" : value);
	return OK;
}

enum status
config_duration(const struct config *config, const char *section, const char *key, int64_t *ms, struct buf *why)
{
	const char *value = config_get(config, section, key);

	if (value == NULL || str_duration(value, ms) != OK)
		return why_not(why, BAD_CONFIG, "config: [%s] %s = %s is not a duration such as 30s", section, key,
		               value == NULL ? "(missing)" : value);
	return OK;
}

bool
config_has(const struct config *config, const char *section)
{
	for (size_t i = 0; i < config->count; i++)
		if (str_equal(config->items[i].section, section))
			return true;
	return false;
}
