# What every target of this project gets, and the precompiled header of LibTorch.

# High warnings for our own code; dependencies are SYSTEM includes and stay silent.
function(tensair_warnings target)
  target_compile_options(
    ${target}
    PRIVATE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wold-style-cast
            -Wcast-qual
            -Wformat=2
            -Wextra-semi
            -Wimplicit-fallthrough
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond>
            $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>
            # g++ 12 sees overflows and uninitialised values across inlined standard containers that are not there.
            $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overflow>
            $<$<CXX_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized>
            $<$<CXX_COMPILER_ID:GNU>:-Wno-error=uninitialized>
            $<$<BOOL:${TENSAIR_WERROR}>:-Werror>)
endfunction()

# TRUE if one of the files includes what needs LibTorch, itself or through "files" beside it, in samples/, bench/ or test/.
# Read when CMake runs: a file that starts to needs a new run.
function(tensair_needs_torch out)
  set(seen "")
  set(queue ${ARGN})
  set(result FALSE)
  while(queue AND NOT result)
    list(POP_FRONT queue file)
    list(APPEND seen "${file}")
    get_filename_component(folder "${file}" DIRECTORY)
    file(STRINGS "${file}" includes REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(include IN LISTS includes)
      if(include MATCHES "[<\"](tensair/(tensair\\.hpp|model/)|torch/|ATen/|c10/)")
        set(result TRUE)
      elseif(include MATCHES "\"([^\"]+)\"")
        foreach(root "${folder}" "${PROJECT_SOURCE_DIR}/samples" "${PROJECT_SOURCE_DIR}/bench" "${PROJECT_SOURCE_DIR}/test")
          set(other "${root}/${CMAKE_MATCH_1}")
          if(EXISTS "${other}" AND NOT other IN_LIST seen)
            list(APPEND queue "${other}")
          endif()
        endforeach()
      endif()
    endforeach()
  endwhile()
  set(${out} ${result} PARENT_SCOPE)
endfunction()

# Compiles torch/torch.h once (48 s, 716 MB) for all targets that call tensair_reuse_pch.
function(tensair_add_torch_pch)
  if(TENSAIR_PCH)
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/torch_pch.cpp" CONTENT "")
    add_library(tensair_torch_pch OBJECT "${PROJECT_BINARY_DIR}/generated/torch_pch.cpp")
    target_link_libraries(tensair_torch_pch PRIVATE tensair_stream ${TENSAIR_TORCH_TARGETS})
    target_precompile_headers(tensair_torch_pch PRIVATE <torch/torch.h>)
    target_compile_options(tensair_torch_pch PRIVATE -Wpedantic) # it changes predefined macros, which must agree
    tensair_pch_flags(tensair_torch_pch)
  endif()
endfunction()

# What ccache asks for, so that objects built with a precompiled header are cached too. And g++ would walk through all of
# the precompiled header whenever it collects garbage, 1 to 2 s of 15 a unit: it may take 2 GB before it does.
function(tensair_pch_flags target)
  target_compile_options(
    ${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
                      $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=2000000>
                      "$<$<CXX_COMPILER_ID:Clang,AppleClang>:SHELL:-Xclang -fno-pch-timestamp>")
endfunction()

function(tensair_reuse_pch target)
  if(TARGET tensair_torch_pch)
    target_precompile_headers(${target} REUSE_FROM tensair_torch_pch)
    tensair_pch_flags(${target})
    # g++ does not keep in a precompiled header the templates that LibTorch's headers instantiate: every unit pays for
    # them, 7 s before its first line.
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${TENSAIR_UNITY} UNITY_BUILD_BATCH_SIZE 4)
  endif()
endfunction()

# An executable of ours, with the parts of a sample if told: linked to tensair::tensair where its sources need LibTorch (then
# only if there is one), else to tensair::stream. Sets OUT to whether it was added.
function(tensair_add_program out target)
  cmake_parse_arguments(PARSE_ARGV 2 program "" "OUTPUT;FOLDER;PARTS" "SOURCES")
  tensair_needs_torch(needs_torch ${program_SOURCES})
  if(program_PARTS AND NOT needs_torch)
    get_target_property(needs_torch sample_${program_PARTS}_parts NEEDS_TORCH)
  endif()
  if(needs_torch AND NOT TENSAIR_HAS_MODEL)
    set(${out} FALSE PARENT_SCOPE)
    return()
  endif()
  add_executable(${target} ${program_SOURCES})
  tensair_warnings(${target})
  if(needs_torch)
    target_link_libraries(${target} PRIVATE tensair::tensair)
    tensair_reuse_pch(${target})
  else()
    target_link_libraries(${target} PRIVATE tensair::stream)
  endif()
  if(program_PARTS)
    target_link_libraries(${target} PRIVATE sample_${program_PARTS}_parts)
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME "${program_OUTPUT}" RUNTIME_OUTPUT_DIRECTORY "${program_FOLDER}")
  set(${out} TRUE PARENT_SCOPE)
endfunction()
