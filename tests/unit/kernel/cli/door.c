/* door.c - the address that is spared for the API. */
#include "cli/door.h"

#include <criterion/criterion.h>

Test(door, the_last_address_of_the_range)
{
    char ip[16];
    cr_assert(door_address("10.244.0.0/16", ip));
    cr_assert_str_eq(ip, "10.244.255.254");
    cr_assert(door_address("192.168.4.0/22", ip));
    cr_assert_str_eq(ip, "192.168.7.254");
    cr_assert(door_address("10.0.0.0/8", ip));
    cr_assert_str_eq(ip, "10.255.255.254");
    cr_assert_not(door_address("10.0.0.0/30", ip), "too small");
    cr_assert_not(door_address("10.0.0.0", ip));
    cr_assert_not(door_address("fd00::/64", ip));
    cr_assert_not(door_address("10.0.0.0/x", ip));
}
