# COMPILER FLAGS FILE: succeeds if FILE does not compile, for the reason that its first line gives (// error: REGEX), and
# the compiler says so in at most 15 lines, for nobody reads more.
cmake_policy(VERSION 3.25)
set(most_lines 15)
file(STRINGS "${FILE}" first LIMIT_COUNT 1)
if(NOT first MATCHES "^// error: (.+)$")
  message(FATAL_ERROR "${FILE}: its first line must be: // error: REGEX")
endif()
set(regex "${CMAKE_MATCH_1}")
execute_process(
  COMMAND "${COMPILER}" "${FLAGS}" -fsyntax-only "${FILE}"
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "${FILE} compiles; expected an error that matches: ${regex}")
endif()
if(NOT output MATCHES "${regex}")
  message(FATAL_ERROR "${FILE}: no line of the compiler's output matches: ${regex}\n${output}")
endif()
string(REGEX MATCHALL "\n" ends "${output}")
list(LENGTH ends lines)
if(lines GREATER most_lines)
  message(FATAL_ERROR "${FILE}: an error of ${lines} lines, more than ${most_lines}:\n${output}")
endif()
