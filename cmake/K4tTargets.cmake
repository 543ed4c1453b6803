# How targets are made here. A library's name says its floor, and target visibility is what keeps the boundaries:
# sdk/ sees itself, a plugin sees sdk/ and itself, core/ sees sdk/ and its own lower floors.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(K4T_PLUGIN_OUTPUT "${CMAKE_BINARY_DIR}/plugins")
# k4t waits for servers, not for its own loops: -O3 would only take longer to compile.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(K4T_CCACHE ccache)
if(K4T_CCACHE)
  # The sloppiness is what ccache needs for precompiled headers.
  set(K4T_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
                   "${K4T_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${K4T_LAUNCHER}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${K4T_LAUNCHER}")
endif()
find_program(K4T_MOLD mold)
if(K4T_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()
if(K4T_CLANG_TIDY)
  find_program(K4T_CLANG_TIDY_PROGRAM clang-tidy REQUIRED)
  # clang reads neither GCC's precompiled headers nor all of its warning options.
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
  set(CMAKE_CXX_CLANG_TIDY "${K4T_CLANG_TIDY_PROGRAM}" --extra-arg=-Wno-unknown-warning-option)
endif()

set(BOOST_INCLUDEDIR /usr/include CACHE PATH "")
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)

add_library(k4t_warnings INTERFACE)
target_compile_options(k4t_warnings INTERFACE -Wall -Wextra -Werror -Wshadow
                                            $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Wpedantic)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overflows in std::string that are not there once it inlines (GCC bug 105329 and its like).
  target_compile_options(k4t_warnings INTERFACE -Wno-stringop-overflow -Wno-restrict -Wno-array-bounds
                                                -Wno-stringop-overread -Wno-maybe-uninitialized)
endif()
# CMAKE_UNITY_BUILD compiles a target's sources as one, in less than half the time: most of it goes into the same
# templates. The names in their anonymous namespaces then meet: k4t_alone(SOURCES …) keeps apart those that cannot share.
# A type of a header may have members of anonymous types in the one source that defines it; GCC, which sees that source
# included, takes this for a mistake.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(k4t_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
function(k4t_alone)
  set_source_files_properties(${ARGV} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
if(K4T_SANITIZE)
  add_compile_options(-fsanitize=${K4T_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${K4T_SANITIZE})
endif()

# What nearly every source reads, read once: without it half of a build's time goes into the same headers. Programs are
# compiled as libraries are (-fPIC), so that one precompiled header serves both.
set(K4T_PRECOMPILED "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp")
file(CONFIGURE OUTPUT "${K4T_PRECOMPILED}" CONTENT "")
function(k4t_precompiled name header)
  add_library(${name} OBJECT "${K4T_PRECOMPILED}")
  target_link_libraries(${name} PRIVATE k4t_warnings nlohmann_json::nlohmann_json ${ARGN})
  target_precompile_headers(${name} PRIVATE "${header}")
endfunction()
function(k4t_use_precompiled target from)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${from})
endfunction()
k4t_precompiled(k4t_precompiled_common "${PROJECT_SOURCE_DIR}/sdk/precompiled.hpp")
if(K4T_BUILD_TESTS)
  find_package(GTest REQUIRED)
  k4t_precompiled(k4t_precompiled_test "${PROJECT_SOURCE_DIR}/tests/precompiled.hpp" GTest::gmock)
  # What a build is to make where only the tests are wanted: they and what they need.
  add_custom_target(k4t-tests)
  # Tests are compiled far more often than run in earnest: the optimiser would take longer than it saves.
  set(K4T_TEST_OPTIONS $<$<CONFIG:Release>:-O0>)
  target_compile_options(k4t_precompiled_test PRIVATE ${K4T_TEST_OPTIONS})
endif()

# k4t_sdk_library(NAME SOURCES … [LINK …] [PRIVATE_LINK …]): part of the SDK, alias k4t::NAME.
function(k4t_sdk_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(k4t_sdk_${name} STATIC ${ARG_SOURCES})
  add_library(k4t::${name} ALIAS k4t_sdk_${name})
  target_link_libraries(k4t_sdk_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings ${ARG_PRIVATE_LINK})
  k4t_use_precompiled(k4t_sdk_${name} k4t_precompiled_common)
endfunction()

# k4t_core_library(NAME SOURCES … [LINK …] [PRIVATE_LINK …]): one folder of core/, alias k4t::core_NAME. Includes are
# written "NAME/file.hpp".
function(k4t_core_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(k4t_core_${name} STATIC ${ARG_SOURCES})
  add_library(k4t::core_${name} ALIAS k4t_core_${name})
  target_include_directories(k4t_core_${name} PUBLIC "${PROJECT_SOURCE_DIR}/core")
  target_link_libraries(k4t_core_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings ${ARG_PRIVATE_LINK})
  k4t_use_precompiled(k4t_core_${name} k4t_precompiled_common)
endfunction()

# k4t_plugin(NAME SOURCES … [LINK …]): the shared library plugins/NAME. Its code apart from entry.cpp is also the
# static library k4t_plugin_NAME, so that the plugin's own tests call it directly.
function(k4t_plugin name)
  cmake_parse_arguments(ARG "" "ENTRY" "SOURCES;LINK" ${ARGN})
  add_library(k4t_plugin_${name} STATIC ${ARG_SOURCES})
  target_include_directories(k4t_plugin_${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(k4t_plugin_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings)
  k4t_use_precompiled(k4t_plugin_${name} k4t_precompiled_common)
  add_library(${name} MODULE ${ARG_ENTRY})
  target_link_libraries(${name} PRIVATE k4t_plugin_${name} k4t_warnings)
  k4t_use_precompiled(${name} k4t_precompiled_common)
  # A plugin keeps its symbols to itself: only the driver table is visible.
  target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${K4T_PLUGIN_OUTPUT}")
  install(TARGETS ${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/k4t/plugins")
endfunction()

# k4t_test(NAME LABEL unit|loader|simulation|integration|crash|e2e|pairs|recovery SOURCES … [LINK …] [WHOLE] [TIMEOUT seconds]):
# a GoogleTest program. Each case is a CTest test of its own; with WHOLE the program is one test, for cases that share a
# costly server. Tests with real servers, those of the last four labels, are WHOLE and have a network of their own, so that
# they can run side by side; the longest starts first. Only unit tests exist in sanitizer builds.
function(k4t_test name)
  if(NOT K4T_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "WHOLE" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(K4T_UNIT_ONLY AND NOT ARG_LABEL STREQUAL "unit")
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} k4t_warnings GTest::gmock GTest::gtest_main)
  k4t_use_precompiled(${name} k4t_precompiled_test)
  target_compile_options(${name} PRIVATE ${K4T_TEST_OPTIONS})
  add_dependencies(k4t-tests ${name})
  target_compile_definitions(${name} PRIVATE K4T_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             K4T_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_WHOLE)
    set(launcher "")
    if(ARG_LABEL MATCHES "^(integration|crash|e2e|pairs|recovery)$")
      set(launcher "${PROJECT_SOURCE_DIR}/tests/support/own_network")
    endif()
    add_test(NAME ${name} COMMAND ${launcher} $<TARGET_FILE:${name}>)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} COST ${ARG_TIMEOUT}
                                            SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
  else()
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}." PROPERTIES LABELS "${ARG_LABEL}"
                         TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()
