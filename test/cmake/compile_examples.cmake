# COMPILER FLAGS FILES UNIT, and NUMBER or FIXTURE: succeeds if examples in FILES compile.
#
#   NUMBER    which ```cpp … ``` of the Markdown file FILES: a unit as it stands
#   FIXTURE   a header for every @code … @endcode of the headers FILES: the body of a function behind both, or what stands
#             around functions if there is a function build or main; its #include lines stand in front of all.
#             Without MODEL those that speak of a model are left out
#
# Errors have the files' lines. UNIT is where the unit goes.
cmake_policy(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/blocks.cmake")

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
      string(REGEX MATCHALL "\n#include [^\n]+" own_includes "${block}")
      list(JOIN own_includes "" own_includes)
      string(APPEND includes "${own_includes}\n")
      string(REGEX REPLACE "\n#include [^\n]+" "\n" block "${block}")
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
  foreach(i RANGE 1 ${NUMBER})
    take_block("\n```cpp\n" "\n```" block line)
  endforeach()
  set(unit "#line ${line} \"${FILES}\"\n${block}\n")
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
