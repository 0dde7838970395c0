# tensair_find_compression(lz4|zstd): the imported target tensair::lz4 or tensair::zstd, if that library is here. Used by
# tensair's own build and, installed, by those who use it: a static library is linked with what it needs.

function(tensair_find_compression name)
  if(TARGET tensair::${name})
    return()
  endif()
  find_path(TENSAIR_${name}_INCLUDE_DIR ${name}.h)
  find_library(TENSAIR_${name}_LIBRARY ${name})
  mark_as_advanced(TENSAIR_${name}_INCLUDE_DIR TENSAIR_${name}_LIBRARY)
  if(TENSAIR_${name}_INCLUDE_DIR AND TENSAIR_${name}_LIBRARY)
    add_library(tensair::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(
      tensair::${name} PROPERTIES IMPORTED_LOCATION "${TENSAIR_${name}_LIBRARY}"
                                  INTERFACE_INCLUDE_DIRECTORIES "${TENSAIR_${name}_INCLUDE_DIR}")
  endif()
endfunction()
