/* message.c - what two processes say to each other: whole texts, descriptors, the end. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"

Test(message, texts_descriptors_and_the_end)
{
    int pair[2], passed, ends[2];
    char text[MESSAGE_MOST], byte = 0;
    cr_assert_eq(message_pair(pair), 0);
    cr_assert_eq(message_send(pair[0], "one", -1), 0);
    cr_assert_eq(message_send(pair[0], "two", -1), 0);
    cr_assert(message_receive(pair[1], text, &passed) == 1 && strcmp(text, "one") == 0 && passed == -1);
    cr_assert(message_receive(pair[1], text, &passed) == 1 && strcmp(text, "two") == 0 && passed == -1);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(message_send(pair[1], "pipe", ends[0]), 0);
    close(ends[0]);
    cr_assert(message_receive(pair[0], text, &passed) == 1 && strcmp(text, "pipe") == 0 && passed >= 0);
    cr_assert(write(ends[1], "x", 1) == 1 && read(passed, &byte, 1) == 1 && byte == 'x');
    close(passed);
    close(ends[1]);
    close(pair[0]);
    cr_assert_eq(message_receive(pair[1], text, &passed), 0);
    cr_assert_lt(message_send(pair[1], "nobody", -1), 0);
    close(pair[1]);
}

Test(message, a_long_text_is_cut)
{
    int pair[2], passed;
    char text[MESSAGE_MOST], big[4000];
    memset(big, 'a', sizeof big);
    big[sizeof big - 1] = '\0';
    cr_assert_eq(message_pair(pair), 0);
    cr_assert_eq(message_send(pair[0], big, -1), 0);
    cr_assert_eq(message_receive(pair[1], text, &passed), 1);
    cr_assert_eq(strlen(text), MESSAGE_MOST - 1);
    close(pair[0]);
    close(pair[1]);
}
