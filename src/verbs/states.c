#include "verbs/states.h"

#include "core/session.h"

void
states_document(struct buf *out)
{
	const struct session_move_row *row;

	buf_text(out, "```mermaid\nstateDiagram-v2\n    [*] --> opening\n");
	for (size_t i = 0; (row = session_move_nth(i)) != NULL; i++)
		buf_printf(out, "    %s --> %s: %s\n", session_state_name(row->from), session_state_name(row->to),
		           session_event_name(row->event));
	buf_text(out, "```\n\n| from | event | to | when |\n|---|---|---|---|\n");
	for (size_t i = 0; (row = session_move_nth(i)) != NULL; i++)
		buf_printf(out, "| %s | %s | %s | %s |\n", session_state_name(row->from), session_event_name(row->event),
		           session_state_name(row->to), row->comment);
}
