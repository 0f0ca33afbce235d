# libtorch and Arrow C++ as their Python wheels ship them, as imported targets torch::wheel and arrow::wheel.
# Looked for in SPECULATORS_PYTHON (a Python that can import both), then .venv, then python3 on the PATH.
# Source: docs/dependencies.md. The include folders come last (-idirafter): torch ships an fmt that would shadow Debian's.
set(SPECULATORS_PYTHON "" CACHE FILEPATH "a Python that has torch and pyarrow")
set(candidates ${SPECULATORS_PYTHON} $ENV{SPECULATORS_PYTHON} ${CMAKE_SOURCE_DIR}/.venv/bin/python python3)

function(find_wheel package result)
  foreach(python ${candidates})
    execute_process(
      COMMAND ${python} -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('${package}').origin))"
      OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(NOT failed)
      set(${result} ${folder} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "no Python with '${package}' found; run ./test.sh once, or set -DSPECULATORS_PYTHON=/path/to/python")
endfunction()

find_wheel(torch torch_folder)
add_library(torch_wheel INTERFACE)
add_library(torch::wheel ALIAS torch_wheel)
target_compile_options(torch_wheel INTERFACE
  "SHELL:-idirafter ${torch_folder}/include" "SHELL:-idirafter ${torch_folder}/include/torch/csrc/api/include")
file(GLOB torch_openmp ${torch_folder}/lib/libgomp*.so*)
target_link_libraries(torch_wheel INTERFACE
  -Wl,--no-as-needed ${torch_folder}/lib/libtorch.so ${torch_folder}/lib/libtorch_cpu.so ${torch_folder}/lib/libc10.so -Wl,--as-needed)
target_link_options(torch_wheel INTERFACE "-Wl,-rpath,${torch_folder}/lib")
if(EXISTS ${torch_folder}/lib/libtorch_cuda.so)
  target_link_libraries(torch_wheel INTERFACE
    -Wl,--no-as-needed ${torch_folder}/lib/libtorch_cuda.so ${torch_folder}/lib/libc10_cuda.so -Wl,--as-needed)
endif()

find_wheel(pyarrow arrow_folder)
file(GLOB arrow_library ${arrow_folder}/libarrow.so.[0-9]*)
list(SORT arrow_library)
list(GET arrow_library 0 arrow_library)
add_library(arrow_wheel INTERFACE)
add_library(arrow::wheel ALIAS arrow_wheel)
target_compile_options(arrow_wheel INTERFACE "SHELL:-idirafter ${arrow_folder}/include")
target_link_libraries(arrow_wheel INTERFACE ${arrow_library})
target_link_options(arrow_wheel INTERFACE "-Wl,-rpath,${arrow_folder}")
message(STATUS "torch: ${torch_folder}")
message(STATUS "arrow: ${arrow_library}")
