# COMPILER FLAGS FILES UNIT, and NUMBERS or FIXTURE: succeeds if examples in FILES compile.
#
#   NUMBERS   which ```cpp … ``` of the Markdown file FILES, separated by commas: one is a unit as it stands, several are
#             a namespace each behind all their #include lines
#   FIXTURE   a header for every @code … @endcode of the headers FILES: the body of a function behind both, or what stands
#             around functions if there is a function build or main; its #include lines stand in front of all.
#             Without MODEL those that speak of a model are left out
#
# Errors have the files' lines. UNIT is where the unit goes.
cmake_policy(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/blocks.cmake")

# Moves the #include lines of a text to the end of another; the lines that are left keep their numbers.
function(take_includes from to)
  string(REGEX MATCHALL "\n#include [^\n]+" own "\n${${from}}")
  list(JOIN own "" own)
  set(${to} "${${to}}${own}\n" PARENT_SCOPE)
  string(REGEX REPLACE "(^|\n)#include [^\n]+" "\\1" rest "${${from}}")
  set(${from} "${rest}" PARENT_SCOPE)
endfunction()

if(DEFINED FIXTURE)
  set(includes "")
  set(unit "\nusing namespace examples;\n")
  set(number 0)
  foreach(file IN LISTS FILES)
    string(APPEND includes "#include \"${file}\"\n")
    file(READ "${file}" REST)
    set(LINE_OF_REST 1)
    while(TRUE)
      take_block("/// @code\n" "/// @endcode" block line)
      if(line EQUAL 0)
        break()
      endif()
      if(NOT MODEL AND block MATCHES "[.]model\\(")
        continue()
      endif()
      math(EXPR number "${number} + 1")
      string(REGEX REPLACE "\n */// ?" "\n" block "\n${block}")
      take_includes(block includes)
      if(block MATCHES "\n(int main|void build)\\(")
        set(around "namespace example_${number}")
      else()
        set(around "auto example_${number}()")
      endif()
      string(APPEND unit "${around} {\n#line ${line} \"${file}\"${block}}\n")
    endwhile()
  endforeach()
  string(PREPEND unit "${includes}#include \"${FIXTURE}\"")
else()
  file(READ "${FILES}" REST)
  set(LINE_OF_REST 1)
  string(REPLACE "," ";" numbers "${NUMBERS}")
  list(LENGTH numbers count)
  list(GET numbers -1 last)
  set(includes "")
  set(unit "")
  foreach(i RANGE 1 ${last})
    take_block("\n```cpp\n" "\n```" block line)
    if(NOT i IN_LIST numbers)
      continue()
    endif()
    if(count GREATER 1)
      take_includes(block includes)
      set(block "namespace snippet_${i} {\n#line ${line} \"${FILES}\"\n${block}\n}")
    else()
      set(block "#line ${line} \"${FILES}\"\n${block}")
    endif()
    string(APPEND unit "${block}\n")
  endforeach()
  string(PREPEND unit "${includes}")
endif()
file(WRITE "${UNIT}" "${unit}")

execute_process(
  COMMAND "${COMPILER}" "${FLAGS}" -Wall -Wextra -Werror -Wno-unused -fsyntax-only "${UNIT}"
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(NOTICE "${output}") # as it is: an error would be wrapped
  list(JOIN FILES ", " files)
  message(FATAL_ERROR "an example does not compile, of ${files}")
endif()
