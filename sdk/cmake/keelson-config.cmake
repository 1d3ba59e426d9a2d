# find_package(keelson): the SDK's headers and keelson_plugin().
include(GNUInstallDirs)
get_filename_component(KEELSON_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/../../../include" ABSOLUTE)
if(NOT EXISTS "${KEELSON_INCLUDE_DIR}/keelson/abi.h")
  get_filename_component(KEELSON_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/../../../../include" ABSOLUTE)
endif()
find_program(KEELSON_PROGRAM keelson HINTS "${KEELSON_INCLUDE_DIR}/../bin")
set(KEELSON_PLUGIN_MAP "${CMAKE_CURRENT_LIST_DIR}/plugin.map")
include("${CMAKE_CURRENT_LIST_DIR}/KeelsonPlugin.cmake")
