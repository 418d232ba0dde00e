#include "legacy/tractatus_view.h"

#include "base/str.h"
#include "core/audit.h"
#include "core/checkpoint.h"
#include "core/metric.h"
#include "legacy/tractatus_export.h"
#include "legacy/tractatus_state.h"
#include "legacy/tractatus_take.h"

#define SEEN_SIZE (ID_SIZE + 8)
#define STATE_SEEN "view"      /* its text */
#define HISTORY_SEEN "history" /* its digest */

/* What a command made of a file. */
struct taking {
	const struct tractatus_viewer *viewer;
	struct tractatus_export export;
	int64_t view;
	const struct buf *bytes;
	char digest[TRACTATUS_DIGEST_SIZE]; /* of the history */
	struct state_read was;
	struct state_read now;
	struct tractatus_take take;
};

static void
name_seen(const char *what, const char *session, char out[SEEN_SIZE])
{
	snprintf(out, SEEN_SIZE, "%s/%.36s", what, session);
}

static enum status
begin(const struct tractatus_viewer *viewer, struct tractatus_export *export, struct buf *why)
{
	enum status status;

	*export = (struct tractatus_export){.engine = viewer->engine, .store_folder = viewer->store_folder, .lock = {.fd = -1}};
	status = tractatus_find(viewer->root, true, &export->place, why);
	return status == OK ? tractatus_export_begin(export, why) : status;
}

static enum status
rule_seen(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_seen_load(txn, &((struct tractatus_export *)data)->place, why);
}

/* NULL with BAD_INPUT; the bytes stay as they are. */
static enum status
parse(const struct buf *bytes, json_t **out, struct buf *why)
{
	char *copy = strndup(bytes->len == 0 ? "" : bytes->data, bytes->len);
	enum status status = copy == NULL ? why_not(why, NO_MEMORY, "out of memory") : OK;

	*out = NULL;
	if (status == OK && bytes->len > STATE_MAX)
		status = why_not(why, BAD_INPUT, "is longer than %zu bytes", STATE_MAX);
	if (status == OK)
		status = json_parse(copy, bytes->len, out, why);
	free(copy);
	return status;
}

/* What the session's last view left of what only Tractatus knows. */
static json_t *
last_state(const struct tractatus_export *export, const char *session)
{
	char name[SEEN_SIZE];
	const char *text;
	json_t *state = NULL;

	name_seen(STATE_SEEN, session, name);
	text = json_text(json_object_get(export->place.seen, name), "text", "");
	return *text == '\0' ? NULL : (state = json_loads(text, 0, NULL), state);
}

static enum status
render(const struct tractatus_viewer *viewer, struct tractatus_export *export, struct tractatus_view *out, struct buf *why)
{
	json_t *before = NULL, *state = NULL, *checkpoints = NULL;
	enum status status = engine_read(viewer->engine, rule_seen, export, why);

	if (status == OK)
		before = last_state(export, viewer->session);
	if (status == OK)
		status = tractatus_export_documents(export, viewer->session, before, &state, &checkpoints, why);
	if (status == OK) {
		history_write(state, &out->files[0].text);
		history_write(checkpoints, &out->files[1].text);
		status = tractatus_export_render(export, &out->files[2].text, why);
	}
	json_decref(before);
	json_decref(state);
	json_decref(checkpoints);
	for (size_t i = 0; i < TRACTATUS_VIEW_FILES && status == OK; i++)
		if (buf_status(&out->files[i].text) != OK)
			status = why_not(why, buf_status(&out->files[i].text), "%s: out of memory, or too long", out->files[i].name);
	return status;
}

enum status
tractatus_view_render(const struct tractatus_viewer *viewer, struct tractatus_view *out, struct buf *why)
{
	static const char *const names[] = {TRACTATUS_STATE, TRACTATUS_CHECKPOINTS, TRACTATUS_HISTORY};
	struct tractatus_export export;
	enum status status;

	for (size_t i = 0; i < TRACTATUS_VIEW_FILES; i++) {
		out->files[i].name = names[i];
		buf_init(&out->files[i].text, i == 2 ? HISTORY_MAX : STATE_MAX);
	}
	status = begin(viewer, &export, why);
	if (status == OK)
		status = render(viewer, &export, out, why);
	tractatus_export_end(&export);
	return status;
}

void
tractatus_view_release(struct tractatus_view *view)
{
	for (size_t i = 0; i < TRACTATUS_VIEW_FILES; i++)
		buf_release(&view->files[i].text);
}

static double
value_of(const struct state_read *read, const char *name)
{
	for (size_t i = 0; i < read->metric_count; i++)
		if (str_equal(read->metrics[i].name, name))
			return read->metrics[i].value;
	return 0;
}

static void
add_metrics(struct txn *txn, const struct taking *taking)
{
	const char *session = taking->viewer->session;

	for (size_t i = 0; i < taking->now.metric_count; i++) {
		const struct state_metric *metric = &taking->now.metrics[i];
		const struct metric_row *row = metric_find(metric->name);
		double more = metric->value - value_of(&taking->was, metric->name);
		char after[40];

		if (more <= 0)
			continue;
		if (row != NULL && row->kind == METRIC_GAUGE)
			metric_set(txn, session, metric->name, metric->value);
		else
			metric_add(txn, session, metric->name, more);
		snprintf(after, sizeof after, "%.17g", row != NULL && row->kind == METRIC_GAUGE ? metric->value : more);
		audit_add(txn, session, row != NULL && row->kind == METRIC_GAUGE ? "metric.set" : "metric.add", metric->name, "",
		          after);
	}
}

static enum status
rule_state(struct txn *txn, void *data, struct buf *why)
{
	struct taking *taking = data;
	struct checkpoint_list fired, told;
	struct session session;
	char name[SEEN_SIZE];
	enum status status = session_load(txn, taking->viewer->session, &session, why);

	if (status != OK)
		return status;
	txn->actor = session.id;
	add_metrics(txn, taking);
	name_seen(STATE_SEEN, session.id, name);
	tractatus_seen_save(txn, &taking->export.place, name, taking->view, taking->bytes->data);
	return checkpoint_report(txn, &session, false, &fired, &told, why);
}

static enum status
read_state(const struct buf *bytes, struct state_read *out, struct buf *why)
{
	json_t *document;
	enum status status = parse(bytes, &document, why);

	if (status == OK)
		status = state_read(document, NULL, out, why);
	json_decref(document);
	return status;
}

/* What the store has of this very view, if its process died before it could note that; else NULL. */
static const char *
taken_before(const struct taking *taking, const char *what)
{
	const json_t *seen;
	char name[SEEN_SIZE];

	name_seen(what, taking->viewer->session, name);
	seen = json_object_get(taking->export.place.seen, name);
	return seen != NULL && json_whole(seen, "number", 0) == taking->view ? json_text(seen, "text", NULL) : NULL;
}

static void
read_was(struct taking *taking, const struct buf *was)
{
	const char *before = taken_before(taking, STATE_SEEN);
	struct buf text;

	buf_init(&text, STATE_MAX);
	if (before != NULL)
		buf_text(&text, before);
	else if (was != NULL)
		buf_add(&text, was->data, was->len);
	/* what could not be read then says nothing about what is more now */
	if ((before != NULL || was != NULL) && (buf_status(&text) != OK || read_state(&text, &taking->was, NULL) != OK))
		taking->was = taking->now;
	buf_release(&text);
}

static enum status
take_state(struct taking *taking, const struct buf *was, struct buf *why)
{
	enum status status = read_state(taking->bytes, &taking->now, why);

	if (status == OK)
		status = engine_read(taking->viewer->engine, rule_seen, &taking->export, why);
	if (status == OK)
		read_was(taking, was);
	return status == OK ? engine_run(taking->viewer->engine, rule_state, taking, why) : status;
}

static enum status
rule_take(struct txn *txn, void *data, struct buf *why)
{
	struct taking *taking = data;
	char name[SEEN_SIZE];

	txn->actor = taking->viewer->session;
	name_seen(HISTORY_SEEN, taking->viewer->session, name);
	tractatus_seen_save(txn, &taking->export.place, name, taking->view, taking->digest);
	return tractatus_take(txn, &taking->take, why);
}

static enum status
parse_history(const struct buf *bytes, struct history *out, struct buf *why)
{
	char *copy = strndup(bytes->len == 0 ? "" : bytes->data, bytes->len);
	enum status status = copy == NULL ? why_not(why, NO_MEMORY, "out of memory") : history_parse(copy, bytes->len, out, why);

	free(copy);
	return status;
}

static bool
is_taken(struct taking *taking)
{
	const char *before = taken_before(taking, HISTORY_SEEN);

	tractatus_digest(taking->bytes->data, taking->bytes->len, taking->digest);
	return before != NULL && str_equal(before, taking->digest);
}

/* Several views begin from one epoch, so only the bytes tell what an edit began from. */
static enum status
take_history(struct taking *taking, const struct buf *was, struct buf *why)
{
	struct history theirs = {0}, base = {0};
	enum status status = parse_history(taking->bytes, &theirs, why);

	if (status == OK && was != NULL)
		status = parse_history(was, &base, why);
	taking->take = (struct tractatus_take){.place = &taking->export.place,
	                                       .theirs = &theirs,
	                                       .base = base.entries,
	                                       .text = taking->bytes->data,
	                                       .actor = taking->viewer->session,
	                                       .import = ""};
	if (status == OK)
		status = engine_read(taking->viewer->engine, rule_seen, &taking->export, why);
	if (status == OK && !is_taken(taking))
		status = engine_run(taking->viewer->engine, rule_take, taking, why);
	tractatus_take_release(&taking->take);
	history_release(&theirs);
	history_release(&base);
	return status;
}

/* Only looked at, so that what is no such file is told. */
static enum status
take_checkpoints(const struct taking *taking, struct buf *why)
{
	struct state_read read;
	json_t *document;
	enum status status = parse(taking->bytes, &document, why);

	if (status == OK)
		status = state_read(NULL, document, &read, why);
	json_decref(document);
	return status;
}

enum status
tractatus_view_take(const struct tractatus_viewer *viewer, int64_t view, const char *name, const struct buf *was,
                    const struct buf *now, struct buf *why)
{
	struct taking taking = {.viewer = viewer, .view = view, .bytes = now};
	enum status status;

	/* what isn't there says nothing */
	if (now == NULL)
		return OK;
	if (now->len == 0 || memchr(now->data, '\0', now->len) != NULL)
		return why_not(why, BAD_INPUT, "%s: is empty or no text", name);
	status = begin(viewer, &taking.export, why);
	if (status == OK && str_equal(name, TRACTATUS_STATE))
		status = take_state(&taking, was, why);
	else if (status == OK && str_equal(name, TRACTATUS_CHECKPOINTS))
		status = take_checkpoints(&taking, why);
	else if (status == OK)
		status = take_history(&taking, was, why);
	tractatus_export_end(&taking.export);
	return status;
}

enum status
tractatus_view_export(const struct tractatus_viewer *viewer, char folder[PATH_SIZE], struct buf *why)
{
	struct tractatus_export export;
	enum status status = begin(viewer, &export, why);
	char out[PATH_SIZE + ID_SIZE + 16];

	if (status == OK)
		status = tractatus_export_history(&export, why);
	if (status == OK)
		status = tractatus_export_session(&export, viewer->session, why);
	snprintf(out, sizeof out, "%s/sessions/%s", export.place.folder, viewer->session);
	tractatus_export_end(&export);
	if (status == OK && str_copy(folder, PATH_SIZE, out) != OK)
		status = why_not(why, IO_FAILED, "the path is too long: %s", out);
	return status;
}
