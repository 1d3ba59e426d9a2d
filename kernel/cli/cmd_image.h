/* cmd_image.h - `keelson image ...`; argv[0] is "image". Exit status: 0 done, 1 failed, 2 wrong use. */
#ifndef CLI_CMD_IMAGE_H
#define CLI_CMD_IMAGE_H

int cmd_image(int argc, char **argv);

#endif
