# The generated part of k_schema: rows files -> schema_rows.c.
file(GLOB SCHEMA_ROWS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/schema/*.rows)
add_executable(schema_gen schema/gen.c schema/gen_read.c)
target_compile_definitions(schema_gen PRIVATE _GNU_SOURCE)
target_include_directories(schema_gen PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
set(SCHEMA_OUT ${CMAKE_CURRENT_BINARY_DIR}/schema_rows.c)
add_custom_command(OUTPUT ${SCHEMA_OUT} COMMAND schema_gen ${SCHEMA_OUT} ${SCHEMA_ROWS} DEPENDS schema_gen ${SCHEMA_ROWS})
target_sources(k_schema PRIVATE ${SCHEMA_OUT})
