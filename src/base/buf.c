#include "base/buf.h"

static char empty[] = "";

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.data = empty, .max = max};
}

void
buf_release(struct buf *buf)
{
	if (buf->cap > 0)
		free(buf->data);
	buf->data = empty;
	buf->cap = buf->len = 0;
}

void
buf_clear(struct buf *buf)
{
	buf_release(buf);
	buf->failed = OK;
}

enum status
buf_status(const struct buf *buf)
{
	return buf->failed;
}

char *
buf_room(struct buf *buf, size_t len)
{
	if (buf->failed != OK)
		return NULL;
	if (len > buf->max - buf->len) {
		buf->failed = BAD_INPUT;
		return NULL;
	}
	if (buf->len + len + 1 > buf->cap) {
		size_t cap = buf->cap * 2 > buf->len + len + 1 ? buf->cap * 2 : buf->len + len + 64;
		char *data = realloc(buf->cap > 0 ? buf->data : NULL, cap);

		if (data == NULL) {
			buf->failed = NO_MEMORY;
			return NULL;
		}
		buf->data = data;
		buf->cap = cap;
		buf->data[buf->len] = '\0';
	}
	return buf->data + buf->len;
}

void
buf_grew(struct buf *buf, size_t len)
{
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void
buf_add(struct buf *buf, const void *data, size_t len)
{
	char *room = buf_room(buf, len);

	if (room == NULL || len == 0)
		return;
	memcpy(room, data, len);
	buf_grew(buf, len);
}

void
buf_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	char *room;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	room = len < 0 ? NULL : buf_room(buf, (size_t)len);
	if (room != NULL) {
		vsnprintf(room, (size_t)len + 1, format, again);
		buf_grew(buf, (size_t)len);
	}
	va_end(again);
}

void
buf_whole(struct buf *buf, int64_t value)
{
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char digits[21];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		digits[--at] = '-';
	buf_add(buf, digits + at, sizeof digits - at);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

enum status
why_not(struct buf *why, enum status status, const char *format, ...)
{
	char line[WHY_MAX];
	va_list args;

	if (why == NULL)
		return status;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	/* one line, whatever a name in it held */
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	buf_clear(why);
	buf_text(why, line);
	return status;
}
