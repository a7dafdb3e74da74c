# SPDX-License-Identifier: MIT
# sinter_link_dependencies(TARGET) finds what Sinter's headers may use and links it to TARGET: threads, OpenMP, zlib and
# nlohmann/json, none of which is required. Used by the source tree and by the installed package alike.
macro(sinter_link_dependencies target)
  set(THREADS_PREFER_PTHREAD_FLAG ON)
  find_package(Threads QUIET)
  if(TARGET Threads::Threads)
    target_link_libraries(${target} INTERFACE Threads::Threads)
  endif()

  if(NOT DEFINED SINTER_OPENMP OR SINTER_OPENMP)
    find_package(OpenMP QUIET COMPONENTS CXX)
    if(TARGET OpenMP::OpenMP_CXX)
      target_link_libraries(${target} INTERFACE OpenMP::OpenMP_CXX)
    endif()
  endif()

  find_package(ZLIB QUIET)
  if(TARGET ZLIB::ZLIB)
    target_link_libraries(${target} INTERFACE ZLIB::ZLIB)
    target_compile_definitions(${target} INTERFACE SINTER_WITH_ZLIB)
  endif()

  find_package(nlohmann_json 3 QUIET)
  if(TARGET nlohmann_json::nlohmann_json)
    target_link_libraries(${target} INTERFACE nlohmann_json::nlohmann_json)
  else()
    find_path(SINTER_JSON_INCLUDE_DIR nlohmann/json.hpp)
    if(SINTER_JSON_INCLUDE_DIR)
      target_include_directories(${target} SYSTEM INTERFACE "${SINTER_JSON_INCLUDE_DIR}")
    endif()
  endif()
endmacro()
