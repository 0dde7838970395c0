# Finds one LibTorch, and only one.
#
# TorchConfig.cmake looks for c10 and torch with a plain find_library, so with Debian's libtorch-dev installed next to a
# wheel it would link both. Here the package that will be used is chosen first; its own prefix then goes in front of
# CMAKE_PREFIX_PATH, and what was found is checked to come from there.
#
# In order: Torch_DIR (variable, then environment), CMAKE_PREFIX_PATH (likewise), TENSAIR_TORCH_VENV (a virtual environment
# with the wheel, unless scripts/setup.sh --torch=debian marked it), TENSAIR_TORCH_HINT (the one tensair was built with), the
# system's.

function(tensair_choose_torch out)
  set(choice "")
  # Torch_DIR is in the cache after the first run, whoever set it: it is given if it is not what was found last, or was then.
  if(Torch_DIR AND ("${Torch_DIR}" STREQUAL "${TENSAIR_TORCH_GIVEN}" OR NOT "${Torch_DIR}" STREQUAL "${TENSAIR_TORCH_FOUND}"))
    set(choice "${Torch_DIR}")
    set(TENSAIR_TORCH_GIVEN "${Torch_DIR}" CACHE INTERNAL "the Torch_DIR that the user gave")
  elseif(DEFINED ENV{Torch_DIR} AND NOT "$ENV{Torch_DIR}" STREQUAL "")
    set(choice "$ENV{Torch_DIR}")
  else()
    string(REPLACE ":" ";" from_environment "$ENV{CMAKE_PREFIX_PATH}")
    foreach(prefix IN LISTS CMAKE_PREFIX_PATH from_environment)
      foreach(folder share/cmake/Torch lib/cmake/Torch Torch .)
        if(NOT choice AND EXISTS "${prefix}/${folder}/TorchConfig.cmake")
          set(choice "${prefix}/${folder}")
        endif()
      endforeach()
    endforeach()
    if(NOT choice AND TENSAIR_TORCH_VENV AND NOT EXISTS "${TENSAIR_TORCH_VENV}/tensair-torch-debian")
      file(GLOB configs "${TENSAIR_TORCH_VENV}/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake")
      if(configs)
        list(GET configs 0 config)
        get_filename_component(choice "${config}" DIRECTORY)
      endif()
    endif()
    if(NOT choice AND EXISTS "${TENSAIR_TORCH_HINT}/TorchConfig.cmake")
      set(choice "${TENSAIR_TORCH_HINT}")
    endif()
  endif()
  if(choice)
    get_filename_component(choice "${choice}" ABSOLUTE)
  endif()
  set(${out} "${choice}" PARENT_SCOPE)
endfunction()

# The wheel carries the headers of its own, newer fmt in the folder of its own headers, and not the library. So that
# <fmt/...> means the fmt that is linked, this target's folder, with nothing but a link to that fmt, comes before LibTorch's.
function(tensair_add_fmt_headers)
  if(NOT TARGET tensair::fmt_headers)
    add_library(tensair::fmt_headers INTERFACE IMPORTED GLOBAL)
    get_target_property(folders fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
    foreach(folder IN LISTS folders)
      if(EXISTS "${folder}/fmt/core.h")
        file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/tensair-fmt")
        file(CREATE_LINK "${folder}/fmt" "${CMAKE_BINARY_DIR}/tensair-fmt/fmt" SYMBOLIC)
        set_target_properties(tensair::fmt_headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                              "${CMAKE_BINARY_DIR}/tensair-fmt")
        break()
      endif()
    endforeach()
  endif()
endfunction()

# Sets Torch_FOUND and, if so, TENSAIR_TORCH_TARGETS (imported targets to link).
macro(tensair_find_torch)
  tensair_choose_torch(_tensair_torch_dir)
  if(NOT "${_tensair_torch_dir}" STREQUAL "${TENSAIR_TORCH_CHOSEN}" OR NOT DEFINED TENSAIR_TORCH_CHOSEN)
    foreach(_tensair_variable Torch_DIR Caffe2_DIR TORCH_LIBRARY c10_LIBRARY kineto_LIBRARY)
      unset(${_tensair_variable} CACHE)
    endforeach()
    set(TENSAIR_TORCH_CHOSEN "${_tensair_torch_dir}" CACHE INTERNAL "the LibTorch package that tensair chose")
  endif()
  set(_tensair_prefix_path "${CMAKE_PREFIX_PATH}")
  if(_tensair_torch_dir)
    set(Torch_DIR "${_tensair_torch_dir}" CACHE PATH "folder of TorchConfig.cmake" FORCE)
    get_filename_component(_tensair_torch_prefix "${_tensair_torch_dir}/../../.." ABSOLUTE)
    list(PREPEND CMAKE_PREFIX_PATH "${_tensair_torch_prefix}" "${_tensair_torch_prefix}/share/cmake")
  endif()
  # TorchConfig warns that it has no kineto (a profiler that no program of ours uses).
  set(_tensair_log_level "${CMAKE_MESSAGE_LOG_LEVEL}")
  set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
  find_package(Torch QUIET)
  set(TENSAIR_TORCH_FOUND "${Torch_DIR}" CACHE INTERNAL "the Torch_DIR of the last run")
  set(CMAKE_MESSAGE_LOG_LEVEL "${_tensair_log_level}")
  set(CMAKE_PREFIX_PATH "${_tensair_prefix_path}")
  if(Torch_FOUND)
    foreach(_tensair_variable TORCH_LIBRARY c10_LIBRARY)
      get_filename_component(${_tensair_variable}_FOLDER "${${_tensair_variable}}" DIRECTORY)
    endforeach()
    if(NOT "${TORCH_LIBRARY_FOLDER}" STREQUAL "${c10_LIBRARY_FOLDER}")
      message(FATAL_ERROR "Two LibTorchs would be linked: ${TORCH_LIBRARY} and ${c10_LIBRARY}. "
                          "Put the prefix of the one you want first in CMAKE_PREFIX_PATH.")
    endif()
    tensair_add_fmt_headers()
    # The wheel's LibTorch exports a std::filesystem of the compiler it was built with. Of a program with that before the
    # system's standard library some calls go to the one and some to the other, and on newer systems it crashes.
    set(TENSAIR_TORCH_TARGETS tensair::fmt_headers "-Wl,--push-state,--no-as-needed,-lstdc++,--pop-state")
    foreach(_tensair_target torch torch_library c10)
      if(TARGET ${_tensair_target})
        list(APPEND TENSAIR_TORCH_TARGETS ${_tensair_target})
      endif()
    endforeach()
  endif()
endmacro()
