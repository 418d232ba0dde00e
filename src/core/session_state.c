#include "core/session.h"

static const char *const state_names[] = {"opening", "active", "idle", "waiting", "ended", "lost"};
static const char *const event_names[] = {"starts", "works", "waits", "rests", "ends", "vanishes"};

/* The lawful moves.  One that isn't here leaves the state as it is. */
static const struct session_move_row moves[] = {
	{SESSION_OPENING, SESSION_WORKS, SESSION_ACTIVE, "its first sign of work"},
	{SESSION_OPENING, SESSION_WAITS, SESSION_WAITING, "it asks before it does anything"},
	{SESSION_OPENING, SESSION_RESTS, SESSION_IDLE, "a turn ended whose start we did not see"},
	{SESSION_OPENING, SESSION_ENDS, SESSION_ENDED, "left without a word"},
	{SESSION_OPENING, SESSION_VANISHES, SESSION_LOST, "its process is gone"},
	{SESSION_ACTIVE, SESSION_WAITS, SESSION_WAITING, "it asks a person"},
	{SESSION_ACTIVE, SESSION_RESTS, SESSION_IDLE, "its turn is over"},
	{SESSION_ACTIVE, SESSION_ENDS, SESSION_ENDED, "the client says so, or its process announced another"},
	{SESSION_ACTIVE, SESSION_VANISHES, SESSION_LOST, "its process is gone in mid-turn"},
	{SESSION_IDLE, SESSION_WORKS, SESSION_ACTIVE, "the next turn begins"},
	{SESSION_IDLE, SESSION_WAITS, SESSION_WAITING, "the client says that it waits for its person"},
	{SESSION_IDLE, SESSION_ENDS, SESSION_ENDED, "the client says so, or its process announced another"},
	{SESSION_IDLE, SESSION_VANISHES, SESSION_LOST, "its process is gone"},
	{SESSION_WAITING, SESSION_STARTS, SESSION_ACTIVE, "it was resumed or compacted: nobody is asked any more"},
	{SESSION_WAITING, SESSION_WORKS, SESSION_ACTIVE, "the person answered"},
	{SESSION_WAITING, SESSION_RESTS, SESSION_IDLE, "the turn ended without the answer"},
	{SESSION_WAITING, SESSION_WAITS, SESSION_WAITING, "it asks for something else"},
	{SESSION_WAITING, SESSION_ENDS, SESSION_ENDED, "the client says so, or its process announced another"},
	{SESSION_WAITING, SESSION_VANISHES, SESSION_LOST, "its process is gone"},
	{SESSION_ENDED, SESSION_STARTS, SESSION_OPENING, "it is resumed"},
	{SESSION_ENDED, SESSION_WORKS, SESSION_ACTIVE, "an event after the end: the end was only a hint"},
	{SESSION_ENDED, SESSION_WAITS, SESSION_WAITING, "an event after the end"},
	{SESSION_ENDED, SESSION_RESTS, SESSION_IDLE, "an event after the end"},
	{SESSION_LOST, SESSION_STARTS, SESSION_OPENING, "it is resumed in another process"},
	{SESSION_LOST, SESSION_WORKS, SESSION_ACTIVE, "it lives after all, in another process"},
	{SESSION_LOST, SESSION_WAITS, SESSION_WAITING, "it lives after all"},
	{SESSION_LOST, SESSION_RESTS, SESSION_IDLE, "it lives after all"},
	{SESSION_LOST, SESSION_ENDS, SESSION_ENDED, "its end arrives late"},
};

const char *
session_state_name(enum session_state state)
{
	return state_names[state];
}

const char *
session_event_name(enum session_event event)
{
	return event_names[event];
}

enum status
session_state_parse(const char *name, enum session_state *out)
{
	for (int i = 0; i <= SESSION_LOST; i++)
		if (str_equal(state_names[i], name)) {
			*out = (enum session_state)i;
			return OK;
		}
	return BAD_INPUT;
}

const struct session_move_row *
session_move_nth(size_t n)
{
	return n < sizeof moves / sizeof *moves ? &moves[n] : NULL;
}

bool
session_is_live(enum session_state state)
{
	return state != SESSION_ENDED && state != SESSION_LOST;
}
