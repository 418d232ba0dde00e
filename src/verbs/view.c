#include "os/view.h"

#include "legacy/tractatus_view.h"
#include "os/file.h"
#include "verbs/caller.h"
#include "verbs/mirror.h"
#include "verbs/tables.h"

#define NOTE_MAX ((size_t)16 << 10)

/* `view tractatus -- CMD`: a command that has Tractatus' paths built in, run so that it finds its own session's files there. */
struct work {
	struct call *call;
	struct caller caller;
	struct tractatus_view files;
	char folder[PATH_SIZE];
	char place[PATH_SIZE];
	json_t *events[VIEW_EVENTS];
	json_t *notes;
};

/* The list that an event goes to, and what people are told of it: the name, this, and what it is called now. */
static const struct {
	const char *list;
	const char *text; /* NULL = nothing */
	bool as;
} tellings[VIEW_EVENTS] = {
	[VIEW_MOVED] = {"moved", NULL, false},
	[VIEW_REPLACED] = {"replaced", NULL, false},
	[VIEW_REMOVED] = {"removed", "was removed; what it held is beside it as ", true},
	[VIEW_STAYS] = {"stays", "was removed by the command, but there is another one now, which stays", false},
	[VIEW_KEPT] = {"kept", "could not have its name; it is kept there as ", true},
	[VIEW_LEFT] = {"left", "could not be brought to its place; it is still at ", true},
	[VIEW_REMAINS] = {"remains", "something that the command left running still sees the files of its own, in ", true},
};

static void
add_note(struct work *work, const char *folder, const char *name, const char *text, const char *as)
{
	struct buf note;

	buf_init(&note, NOTE_MAX);
	buf_printf(&note, "%s%s%s: %s%s", folder, *name == '\0' ? "" : "/", name, text, as);
	json_array_append_new(work->notes, json_lossy(note.data, note.len));
	buf_release(&note);
}

static void
tell(void *arg, enum view_event event, const char *name, const char *as)
{
	struct work *work = arg;
	json_t *told = json_pack("{so so}", "name", json_lossy(name, strlen(name)), "as", json_lossy(as, strlen(as)));

	json_array_append_new(work->events[event], told);
	/* a link that is gone held nothing */
	if (tellings[event].text != NULL && (event != VIEW_REMOVED || *as != '\0'))
		add_note(work, work->folder, name, tellings[event].text, tellings[event].as ? as : "");
}

static struct tractatus_viewer
viewer_of(struct work *work, const char *session)
{
	struct context *context = work->call->context;

	return (struct tractatus_viewer){.engine = &context->engine,
	                                 .store_folder = context->address.folder,
	                                 .root = context->place.root,
	                                 .session = session};
}

/* The store isn't held open while the command runs, which may be for days. */
static enum status
take(void *arg, struct view_change *change, struct buf *why)
{
	struct work *work = arg;
	struct tractatus_viewer viewer = viewer_of(work, change->label);
	enum status status = context_open(work->call->context, false, why);

	if (status == OK)
		status = tractatus_view_take(&viewer, change->view, change->name, change->was_there ? &change->was : NULL,
		                             change->there ? &change->now : NULL, why);
	if (status == OK && str_equal(change->name, TRACTATUS_HISTORY))
		mirror_instructions(work->call->context, work->call->result);
	/* nobody will ever take what was of a session that is gone: it is kept beside */
	if (status == NO_SUCH)
		status = BAD_INPUT;
	if (status == OK)
		json_array_append_new(json_object_get(work->call->result, "taken"), json_string(change->name));
	return status;
}

static enum status
rule_caller(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return caller_session(txn, json_text(work->call->args, "session", NULL), &work->caller, NULL, why);
}

static void
begin(struct work *work)
{
	json_t *result = work->call->result;

	for (size_t i = 0; i < VIEW_EVENTS; i++) {
		work->events[i] = json_array();
		json_object_set_new(result, tellings[i].list, work->events[i]);
	}
	work->notes = json_array();
	json_object_set_new(result, "notes", work->notes);
	json_object_set_new(result, "taken", json_array());
}

/* What dead views left is taken first: it may be this session's own. */
static enum status
prepare(struct work *work, const struct view *view)
{
	struct call *call = work->call;
	struct tractatus_viewer viewer = viewer_of(work, work->caller.session);
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (view_clear(view, &why) != OK)
		add_note(work, work->place, "", "what an earlier view left can't be cleared: ", why.data);
	buf_release(&why);
	return tractatus_view_render(&viewer, &work->files, call->why);
}

/* Where nothing can be mounted the files are at least to be had by another path. */
static enum status
export_instead(struct work *work)
{
	struct call *call = work->call;
	struct tractatus_viewer viewer = viewer_of(work, work->caller.session);
	char folder[PATH_SIZE], reason[WHY_MAX];
	struct buf why;

	buf_init(&why, WHY_MAX);
	snprintf(reason, sizeof reason, "%s", call->why->data);
	if (context_open(call->context, false, &why) != OK || tractatus_view_export(&viewer, folder, &why) != OK)
		why_not(call->why, NOT_ALLOWED, "%.500s; and its files can't be exported: %.400s", reason, why.data);
	else
		why_not(call->why, NOT_ALLOWED, "%.500s; the session's own files are exported to %.400s", reason, folder);
	buf_release(&why);
	return NOT_ALLOWED;
}

static enum status
run_inside(struct work *work, struct view *view)
{
	struct call *call = work->call;
	struct view_file files[TRACTATUS_VIEW_FILES];
	enum status status;

	for (size_t i = 0; i < TRACTATUS_VIEW_FILES; i++) {
		const struct tractatus_view_file *file = &work->files.files[i];

		files[i] = (struct view_file){.name = file->name, .there = true, .data = file->text.data, .len = file->text.len};
	}
	view->files = files;
	view->count = TRACTATUS_VIEW_FILES;
	context_release(call->context, false);
	/* who the command calls for is who it has the files of */
	if (setenv("STILE_SESSION", work->caller.session, 1) != 0 || setenv("STILE_VIEW", "1", 1) != 0)
		return why_not(call->why, NO_MEMORY, "out of memory");
	status = view_run(view, call->command, &call->exit, call->why);
	return status == NOT_ALLOWED && call->exit < 0 ? export_instead(work) : status;
}

static enum status
run_tractatus(struct call *call)
{
	struct work work = {.call = call};
	struct context *context = call->context;
	struct view view = {.folder = work.folder, .place = work.place, .take = take, .tell = tell, .arg = &work};
	enum status status = context_open(context, false, call->why);

	if (status == OK)
		status = engine_read(&context->engine, rule_caller, &work, call->why);
	if (status == OK && (paths_join(work.folder, sizeof work.folder, context->place.root, ".claude") != OK ||
	                     paths_join(work.place, sizeof work.place, context->address.folder, "views") != OK))
		status = why_not(call->why, IO_FAILED, "the path is too long: %s", context->place.root);
	if (status != OK)
		return status;
	begin(&work);
	view.label = work.caller.session;
	json_object_set_new(call->result, "session", json_string(work.caller.session));
	status = prepare(&work, &view);
	if (status == OK)
		status = run_inside(&work, &view);
	tractatus_view_release(&work.files);
	json_object_set_new(call->result, "exit", json_integer(call->exit));
	return status;
}

static const struct param params[] = {
	{"session", PARAM_TEXT, "SESSION", "whose files it sees; default: the caller's own", false, false, false},
	{"command", PARAM_COMMAND, "CMD...", "the command and its words, run without a shell; its exit status is this one's", true,
     true, false},
};

static const struct verb verbs[] = {
	{"view tractatus", "run a command that finds its own session's files at Tractatus' paths in .claude, and all else as it is",
     DOES_WRITE | DOES_RUN, NULL, PARAMS(params), run_tractatus},
};

const struct verb_table verbs_view = VERB_TABLE(verbs);
