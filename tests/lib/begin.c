/* Every test program begins as ours does. */
#include "base/json.h"

__attribute__((constructor)) static void
begin(void)
{
	json_begin();
}
