# SPDX-License-Identifier: MIT
# The two declarations that extend the suite: suite_add_heap and suite_add_workload, and the library
# helper. Heaps and workloads are declared in any order; harness/ and tests/ expand them at the end.

# suite_library(NAME SOURCES a.c ... [LINK lib ...]): a static library with the suite's options.
function(suite_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC hs_options ${ARG_LINK})
endfunction()

# suite_add_heap(NAME LIBRARY lib BINDING header.h [PREFIX p] [OUTLINE file.c]): declares run_<NAME>.
# OUTLINE also declares run_<NAME>_outline, whose operations are calls.
function(suite_add_heap name)
  cmake_parse_arguments(ARG "" "LIBRARY;BINDING;PREFIX;OUTLINE" "" ${ARGN})
  if(NOT ARG_PREFIX)
    set(ARG_PREFIX ${name})
  endif()
  add_library(bind_${name} INTERFACE)
  target_compile_definitions(bind_${name} INTERFACE
    HEAP_BINDING_H="${ARG_BINDING}" HEAP_PREFIX=${ARG_PREFIX} HEAP_NAME="${name}")
  target_link_libraries(bind_${name} INTERFACE ${ARG_LIBRARY})
  set_property(GLOBAL APPEND PROPERTY SUITE_HEAPS ${name})
  if(ARG_OUTLINE)
    suite_library(${ARG_LIBRARY}_outline SOURCES ${ARG_OUTLINE} LINK ${ARG_LIBRARY})
    add_library(bind_${name}_outline INTERFACE)
    target_compile_definitions(bind_${name}_outline INTERFACE HEAP_OUTLINE=1
      HEAP_BINDING_H="${ARG_BINDING}" HEAP_PREFIX=${ARG_PREFIX} HEAP_NAME="${name}_outline")
    target_link_libraries(bind_${name}_outline INTERFACE ${ARG_LIBRARY}_outline)
    set_property(GLOBAL APPEND PROPERTY SUITE_OUTLINE_HEAPS ${name}_outline)
  endif()
endfunction()

# suite_add_workload(NAME file.c): the file defines `const workload workload_<NAME>`.
function(suite_add_workload name source)
  set_property(GLOBAL APPEND PROPERTY SUITE_WORKLOADS ${name})
  set_property(GLOBAL APPEND PROPERTY SUITE_WORKLOAD_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/${source})
endfunction()
