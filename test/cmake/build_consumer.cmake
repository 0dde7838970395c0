# SOURCE BUILD MODEL COMPILER GENERATOR LAUNCHER SANITIZE: installs BUILD into a fresh prefix, builds the project SOURCE
# against it, and runs its programs.
cmake_policy(VERSION 3.25)
set(work "${BUILD}/test/consumer-work")
set(prefix "${work}/prefix")
file(REMOVE_RECURSE "${work}")

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}: ${result}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(sanitize "")
if(SANITIZE)
  set(sanitize "-DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE}")
endif()

run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")

# Twice: as one who only streams, from whom LibTorch is not asked, and as one who wants all.
set(kinds stream)
if(MODEL)
  list(APPEND kinds tensair)
endif()
string(REPLACE ";" "\;" LAUNCHER "${LAUNCHER}")
foreach(kind IN LISTS kinds)
  run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${work}/${kind}" -G "${GENERATOR}" "-DCMAKE_PREFIX_PATH=${prefix}"
      "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" -DCMAKE_BUILD_TYPE=Release
      "-DCONSUMER_COMPONENT=${kind}" ${sanitize})
  run("${CMAKE_COMMAND}" --build "${work}/${kind}")
  run("${work}/${kind}/consumer_${kind}")
  if(NOT output MATCHES "consumer: ok")
    message(FATAL_ERROR "consumer_${kind} printed:\n${output}")
  endif()
endforeach()
file(REMOVE_RECURSE "${work}")
