#include "base/jsontext.h"

#include "base/str.h"

/* How the text around is laid out.  A run is a part of the text itself. */
struct run {
	const char *at;
	size_t len;
};

struct style {
	bool lines; /* children stand on lines of their own */
	struct run newline;
	struct run unit;   /* by which a child stands further in than its parent */
	struct run margin; /* by which the new child stands in, less `depth` units */
	size_t depth;
	struct run colon; /* with the space around it */
	struct run pause; /* behind a comma, where there are no lines */
};

#define RUN(text) ((struct run){(text), sizeof(text) - 1})

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
add_run(struct buf *out, struct run run)
{
	buf_add(out, run.at, run.len);
}

static void
add_break(struct buf *out, const struct style *style, size_t depth)
{
	add_run(out, style->newline);
	add_run(out, style->margin);
	for (size_t i = 0; i < depth; i++)
		add_run(out, style->unit);
}

/* The white space before `at`. */
static struct run
space_before(const char *text, size_t at)
{
	size_t from = at;

	while (from > 0 && is_space(text[from - 1]))
		from--;
	return (struct run){text + from, at - from};
}

/* What of a run stands on its last line; false when it is all on one. */
static bool
last_line(struct run run, struct run *out)
{
	const char *newline = memrchr(run.at, '\n', run.len);

	if (newline == NULL)
		return false;
	*out = (struct run){newline + 1, run.len - (size_t)(newline + 1 - run.at)};
	return true;
}

/* The white space that the line around `at` begins with. */
static struct run
margin_of(const char *text, size_t at)
{
	const char *newline = memrchr(text, '\n', at), *from = newline == NULL ? text : newline + 1;
	size_t len = 0;

	while (from + len < text + at && (from[len] == ' ' || from[len] == '\t'))
		len++;
	return (struct run){from, len};
}

static struct run
colon_of(const char *text, const struct json_piece *member)
{
	struct run colon = space_before(text, member->from);
	struct run line;

	if (last_line(colon, &line))
		return RUN(": ");
	colon.at--;
	colon.len++;
	while (is_space(colon.at[-1])) {
		colon.at--;
		colon.len++;
	}
	return memchr(colon.at, '\n', colon.len) == NULL ? colon : RUN(": ");
}

/* By how much the root's children stand further in than it does. */
static struct run
unit_of(const char *text, const struct json_piece *root)
{
	struct run margin = margin_of(text, root->from), line;
	struct json_piece child;

	for (bool more = jsontext_child(text, root, NULL, &child); more; more = jsontext_child(text, root, &child, &child))
		if (last_line(space_before(text, child.key), &line)) {
			if (line.len < margin.len)
				break;
			return (struct run){line.at + margin.len, line.len - margin.len};
		}
	return RUN("  ");
}

/* What the whole text is like. */
static void
style_of_text(const char *text, size_t len, struct style *style)
{
	const char *newline = memchr(text, '\n', len);
	struct json_piece root, child;

	*style = (struct style){.newline = RUN("\n"), .unit = RUN("  "), .colon = RUN(": "), .margin = RUN("")};
	if (newline != NULL && newline > text && newline[-1] == '\r')
		style->newline = RUN("\r\n");
	if (jsontext_root(text, len, &root, NULL) != OK)
		return;
	style->unit = unit_of(text, &root);
	if (!jsontext_child(text, &root, NULL, &child))
		style->lines = true; /* it is empty: as people and clients write it */
	else {
		style->lines = memchr(text + root.from, '\n', root.to - root.from) != NULL;
		if (root.kind == JSON_PIECE_OBJECT)
			style->colon = colon_of(text, &child);
	}
	style->pause = is_space(style->colon.at[style->colon.len - 1]) ? RUN(" ") : RUN("");
}

/* Adds compact JSON, laid out. */
static void
lay_out(struct buf *out, const struct style *style, size_t depth, const char *value, const struct json_piece *piece)
{
	struct json_piece child;
	bool more = jsontext_child(value, piece, NULL, &child), first = true;

	if (!more) {
		buf_add(out, value + piece->from, piece->to - piece->from);
		return;
	}
	buf_add(out, value + piece->from, 1);
	for (; more; more = jsontext_child(value, piece, &child, &child)) {
		if (!first)
			buf_text(out, ",");
		if (style->lines)
			add_break(out, style, depth + 1);
		else if (!first)
			add_run(out, style->pause);
		first = false;
		if (piece->kind == JSON_PIECE_OBJECT) {
			buf_add(out, value + child.key, child.from - 1 - child.key);
			add_run(out, style->colon);
		}
		lay_out(out, style, depth + 1, value, &child);
	}
	if (style->lines)
		add_break(out, style, depth);
	buf_add(out, value + piece->to - 1, 1);
}

static void
add_child(struct buf *out, const struct style *style, const char *key, const char *value)
{
	struct json_piece piece;

	if (jsontext_root(value, strlen(value), &piece, NULL) != OK) {
		out->failed = BAD_INPUT;
		return;
	}
	if (key != NULL) {
		buf_printf(out, "\"%s\"", key);
		add_run(out, style->colon);
	}
	lay_out(out, style, style->depth, value, &piece);
}

/* Behind `last`, as it stands behind the one before. */
static void
insert_after(const char *text, const struct json_piece *in, const struct json_piece *last, struct style *style, const char *key,
             const char *value, struct buf *out)
{
	struct run lead = space_before(text, last->key);

	style->lines = last_line(lead, &style->margin);
	if (!style->lines && text[last->key - lead.len - 1] != ',')
		lead = style->pause; /* an only child's distance is that from its bracket */
	if (in->kind == JSON_PIECE_OBJECT)
		style->colon = colon_of(text, last);
	buf_text(out, ",");
	add_run(out, lead);
	add_child(out, style, key, value);
}

/* Between the brackets, behind the space that may be there. */
static void
insert_first(const char *text, const struct json_piece *in, struct style *style, const char *key, const char *value,
             struct buf *out)
{
	style->margin = margin_of(text, in->from);
	style->depth = 1;
	if (style->lines)
		add_break(out, style, 1);
	add_child(out, style, key, value);
	if (style->lines)
		add_break(out, style, 0);
}

void
jsontext_insert(const char *text, size_t len, const struct json_piece *in, const char *key, const char *value, struct buf *out)
{
	struct json_piece child, last = {0};
	struct style style;
	size_t at = in->to - 1;
	bool any = false;

	style_of_text(text, len, &style);
	for (bool more = jsontext_child(text, in, NULL, &child); more; more = jsontext_child(text, in, &child, &child)) {
		last = child;
		any = true;
	}
	if (any)
		at = last.to;
	buf_add(out, text, at);
	if (any)
		insert_after(text, in, &last, &style, key, value, out);
	else
		insert_first(text, in, &style, key, value, out);
	buf_add(out, text + at, len - at);
}

void
jsontext_replace(const char *text, size_t len, const struct json_piece *piece, const char *value, struct buf *out)
{
	buf_add(out, text, piece->from);
	buf_text(out, value);
	buf_add(out, text + piece->to, len - piece->to);
}

/*
 * An only child leaves the space that was there before it: what stands before its own line, and nothing of what follows it;
 * without lines, all.
 */
static void
remove_only(const char *text, size_t len, const struct json_piece *in, const struct json_piece *piece, struct buf *out)
{
	struct run before = {text + in->from + 1, piece->key - in->from - 1}, line;

	if (!last_line(before, &line)) {
		buf_add(out, text, piece->key);
		buf_add(out, text + piece->to, len - piece->to);
		return;
	}
	before.len -= line.len + 1;
	/* its line ends as the one behind it does */
	if (before.len > 0 && before.at[before.len - 1] == '\r' && text[piece->to] == '\r')
		before.len--;
	buf_add(out, text, (size_t)(before.at + before.len - text));
	buf_add(out, text + in->to - 1, len - (in->to - 1));
}

void
jsontext_remove(const char *text, size_t len, const struct json_piece *in, const struct json_piece *piece, struct buf *out)
{
	struct json_piece child, before = {0}, next;
	bool first = true;

	for (bool more = jsontext_child(text, in, NULL, &child); more && child.key != piece->key;
	     more = jsontext_child(text, in, &child, &child)) {
		before = child;
		first = false;
	}
	if (!first) {
		buf_add(out, text, before.to);
		buf_add(out, text + piece->to, len - piece->to);
	} else if (jsontext_child(text, in, piece, &next)) {
		buf_add(out, text, piece->key);
		buf_add(out, text + next.key, len - next.key);
	} else
		remove_only(text, len, in, piece, out);
}
