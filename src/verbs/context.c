#include "base/config.h"
#include "core/checkpoint.h"
#include "core/instruction_report.h"
#include "core/ledger_anchor.h"
#include "core/retention.h"
#include "os/anchor.h"
#include "os/file.h"
#include "os/random.h"
#include "verbs/verb.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum status
context_find(struct context *context, const char *folder, struct buf *why)
{
	enum status status = paths_find(folder, &context->place, why);

	if (status == OK && realpath(folder, context->folder) == NULL)
		status = why_not(why, NO_SUCH, "%s: %s", folder, strerror(errno));
	if (status == OK)
		status = paths_store(&context->place, getenv("STILE_STORE"), &context->address, why);
	return status;
}

const char *
context_store_name(const struct context *context)
{
	return context->address.url[0] == '\0' ? context->address.folder : context->address.file;
}

enum liveness
context_liveness(const struct context *context, const struct process *process)
{
	if (context->address.url[0] != '\0' && !process_is_of_this_boot(process))
		return LIVENESS_UNKNOWN;
	return process_liveness(process);
}

static enum liveness
witness_anchor(void *arg, const char *name)
{
	const struct context *context = arg;

	return anchor_liveness(context->address.folder, name, context->address.url[0] == '\0');
}

static enum liveness
witness_process(void *arg, const struct process *process)
{
	return context_liveness(arg, process);
}

static int64_t
witness_awake(void *arg, char boot[BOOT_MAX])
{
	(void)arg;
	if (clock_boot_name(boot) != OK)
		boot[0] = '\0';
	return clock_awake_ms();
}

/* A configuration file that isn't there says nothing; one that can't be read or followed is an error. */
static enum status
add_file(struct config *config, const char *path, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, CONFIG_TEXT_MAX);
	status = file_read(path, &text, why);
	if (status == OK)
		status = config_add(config, path, text.data, why);
	else if (status == NO_SUCH)
		status = why_not(why, OK, "%s", "");
	else
		status = status == NO_MEMORY ? NO_MEMORY : BAD_CONFIG;
	buf_release(&text);
	return status;
}

/* Where names may be of one's own, the section that has the settings of all. */
static const char *
model_of(const char *section)
{
	return str_starts(section, "queue ") ? "queue" : str_starts(section, "ledger ") ? "ledger" : section;
}

static bool
is_known(const struct config *config, size_t known, const struct config_item *item)
{
	for (size_t i = 0; i < known; i++)
		if (str_equal(config->items[i].section, model_of(item->section)) && str_equal(config->items[i].key, item->key))
			return true;
	return false;
}

/* Who misspelt `fail = closed` must not be left open in silence: these sections have the built-in settings, the first `known`. */
static enum status
check_names(const struct config *config, size_t known, struct buf *why)
{
	for (size_t i = known; i < config->count; i++) {
		const struct config_item *item = &config->items[i];

		if ((str_equal(item->section, "stile") || str_equal(model_of(item->section), "ledger") || str_equal(item->section, "observe") ||
		     str_equal(model_of(item->section), "queue")) &&
		    !is_known(config, known, item))
			return why_not(why, BAD_CONFIG, "config: [%s] %s: there is no such setting", item->section, item->key);
	}
	return OK;
}

/* The settings that every rule counts on, looked at once so that no rule finds a bad one halfway. */
static enum status
check(const struct config *config, struct buf *why)
{
	const char *fail = config_get(config, "stile", "fail"), *profile = config_get(config, "stile", "profile");
	const char *exclusive = config_get(config, "stile", "exclusive"), *resident = config_get(config, "stile", "resident");
	const char *prompts = config_get(config, "observe", "prompts");
	char section[LABEL_MAX + 20];
	struct retention_terms keep;
	struct queue_limits limits;
	int64_t number, other;
	enum status status = config_whole(config, "stile", "budget", &number, why);

	if (status == OK && number < 1)
		status = why_not(why, BAD_CONFIG, "config: [stile] budget must be at least 1");
	if (status == OK)
		status = config_duration(config, "stile", "reap", &number, why);
	if (status == OK)
		status = config_duration(config, "stile", "phantom", &number, why);
	if (status == OK)
		status = config_duration(config, "stile", "error_window", &number, why);
	if (status == OK && strcmp(fail, "open") != 0 && strcmp(fail, "closed") != 0)
		status = why_not(why, BAD_CONFIG, "config: [stile] fail = %s: it is open or closed", fail);
	if (status == OK && strcmp(resident, "yes") != 0 && strcmp(resident, "no") != 0)
		status = why_not(why, BAD_CONFIG, "config: [stile] resident = %s: it is yes or no", resident);
	if (status == OK && strcmp(prompts, "yes") != 0 && strcmp(prompts, "no") != 0)
		status = why_not(why, BAD_CONFIG, "config: [observe] prompts = %s: it is yes or no", prompts);
	if (status == OK && strcmp(exclusive, "no") != 0 && strcmp(exclusive, "refuse") != 0 && strcmp(exclusive, "wait") != 0)
		status = why_not(why, BAD_CONFIG, "config: [stile] exclusive = %s: it is no, refuse or wait", exclusive);
	if (status == OK)
		status = checkpoint_check(config, why);
	if (status == OK)
		status = instruction_config(config, &number, &other, why);
	if (status == OK)
		status = retention_config(config, &keep, why);
	if (status == OK)
		status = queue_limits(config, "", &limits, why);
	if (status == OK)
		status = ledger_keep(config, "", &number, why);
	snprintf(section, sizeof section, "profile %.100s", profile);
	if (status == OK && !config_has(config, section))
		status = why_not(why, BAD_CONFIG, "config: [stile] profile = %s: there is no [%s]", profile, section);
	return status;
}

enum status
context_config(const struct context *context, struct config *config, struct buf *why)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	char path[PATH_SIZE];
	int len = xdg != NULL && *xdg == '/' ? snprintf(path, sizeof path, "%s/stile/config", xdg)
	                                     : snprintf(path, sizeof path, "%s/.config/stile/config", home == NULL ? "" : home);
	enum status status = config_defaults(config), second = OK;
	size_t known = config->count;

	if (status == NO_MEMORY)
		return why_not(why, NO_MEMORY, "out of memory");
	if (status == OK && len > 0 && (size_t)len < sizeof path)
		status = add_file(config, path, why);
	/* both are read in any case: one that is bad must not hide that the other says fail = closed */
	if (context->address.folder[0] != '\0' && paths_join(path, sizeof path, context->address.folder, "config") == OK)
		second = add_file(config, path, status == OK ? why : NULL);
	if (status == OK)
		status = second;
	if (status == OK)
		status = check_names(config, known, why);
	return status == OK ? check(config, why) : status;
}

enum status
context_make_place(const struct context *context, struct buf *why)
{
	return context->address.url[0] == '\0' ? OK : file_make_folder(context->address.folder, 0700, NULL, why);
}

enum status
context_anchor(struct context *context, bool stays, struct anchor *out, struct buf *why)
{
	struct db *db = context->engine.db;
	char proof[WAKE_SIZE] = "";
	size_t len;
	enum status status = stays ? db->ops->prove(db, proof, why) : db->ops->listen(db, proof, why);

	if (status == OK)
		status = context_make_place(context, why);
	if (status == OK)
		status = anchor_take(out, context->address.folder, why);
	len = strlen(out->name);
	if (status == OK && stays && proof[0] != '\0')
		snprintf(out->name + len, sizeof out->name - len, "%c%s", LEASE_PROOF, proof);
	return status;
}

enum status
context_open(struct context *context, bool make, struct buf *why)
{
	struct db *db;
	char actor[40];
	enum status status;

	if (context->engine_open)
		return OK;
	if (make && (status = file_make_folder(context->address.folder, 0700, NULL, why)) != OK)
		return STORE_DOWN;
	status = context->open_store(&context->address, make, &db, why);
	if (status != OK)
		return status;
	snprintf(actor, sizeof actor, "uid:%lu", (unsigned long)getuid());
	engine_init(&context->engine, db, context->address.project, actor, random_bytes);
	context->witness = (struct witness){witness_anchor, witness_process, witness_awake, context};
	context->engine.witness = &context->witness;
	context->engine.wait_ms = context->wait_ms;
	context->engine_open = true;
	status = context_config(context, &context->engine.config, why);
	if (status != OK)
		context_release(context, false);
	return status;
}

void
context_release(struct context *context, bool process_ends)
{
	if (context->engine_open)
		engine_release(&context->engine, process_ends);
	context->engine_open = false;
}
