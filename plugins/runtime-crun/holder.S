/* The bytes of the holder program. */
    .section .rodata
    .global holder_begin, holder_end
    .hidden holder_begin, holder_end
holder_begin:
    .incbin HOLDER_FILE
holder_end:
    .section .note.GNU-stack,"",%progbits
