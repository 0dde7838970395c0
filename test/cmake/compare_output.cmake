# PROGRAM EXPECTED: succeeds if PROGRAM exits with 0 and prints what the file EXPECTED says (white space at the end aside).
cmake_policy(VERSION 3.25)
file(READ "${EXPECTED}" expected)
execute_process(
  COMMAND "${PROGRAM}"
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} failed (${result}):\n${output}${errors}")
endif()
string(STRIP "${expected}" expected)
string(STRIP "${output}" output)
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM} printed\n${output}\nbut the README says\n${expected}")
endif()
