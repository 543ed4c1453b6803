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
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(K4T_CCACHE ccache)
if(K4T_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${K4T_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${K4T_CCACHE}")
endif()
if(K4T_CLANG_TIDY)
  find_program(K4T_CLANG_TIDY_PROGRAM clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY "${K4T_CLANG_TIDY_PROGRAM}")
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
if(K4T_SANITIZE)
  add_compile_options(-fsanitize=${K4T_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${K4T_SANITIZE})
endif()

# k4t_sdk_library(NAME SOURCES … [LINK …] [PRIVATE_LINK …]): part of the SDK, alias k4t::NAME.
function(k4t_sdk_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(k4t_sdk_${name} STATIC ${ARG_SOURCES})
  add_library(k4t::${name} ALIAS k4t_sdk_${name})
  target_link_libraries(k4t_sdk_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings ${ARG_PRIVATE_LINK})
endfunction()

# k4t_core_library(NAME SOURCES … [LINK …] [PRIVATE_LINK …]): one folder of core/, alias k4t::core_NAME. Includes are
# written "NAME/file.hpp".
function(k4t_core_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(k4t_core_${name} STATIC ${ARG_SOURCES})
  add_library(k4t::core_${name} ALIAS k4t_core_${name})
  target_include_directories(k4t_core_${name} PUBLIC "${PROJECT_SOURCE_DIR}/core")
  target_link_libraries(k4t_core_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings ${ARG_PRIVATE_LINK})
endfunction()

# k4t_plugin(NAME SOURCES … [LINK …]): the shared library plugins/NAME. Its code apart from entry.cpp is also the
# static library k4t_plugin_NAME, so that the plugin's own tests call it directly.
function(k4t_plugin name)
  cmake_parse_arguments(ARG "" "ENTRY" "SOURCES;LINK" ${ARGN})
  add_library(k4t_plugin_${name} STATIC ${ARG_SOURCES})
  target_include_directories(k4t_plugin_${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(k4t_plugin_${name} PUBLIC k4t::sdk ${ARG_LINK} PRIVATE k4t_warnings)
  add_library(${name} MODULE ${ARG_ENTRY})
  target_link_libraries(${name} PRIVATE k4t_plugin_${name} k4t_warnings)
  # A plugin keeps its symbols to itself: only the driver table is visible.
  target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${K4T_PLUGIN_OUTPUT}")
  install(TARGETS ${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/k4t/plugins")
endfunction()

# k4t_test(NAME LABEL unit|loader|simulation|integration|crash|e2e SOURCES … [LINK …] [WHOLE] [TIMEOUT seconds]):
# a GoogleTest program. Each case is a CTest test of its own; with WHOLE the program is one test, for cases that share a
# costly server. Only unit and simulation tests exist in sanitizer builds.
function(k4t_test name)
  if(NOT K4T_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "WHOLE" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(K4T_UNIT_ONLY AND NOT ARG_LABEL MATCHES "^(unit|simulation)$")
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} k4t_warnings GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE K4T_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             K4T_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_WHOLE)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} SKIP_REGULAR_EXPRESSION
                                                                                         "\\[  SKIPPED \\]")
  else()
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}." PROPERTIES LABELS "${ARG_LABEL}"
                         TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()
