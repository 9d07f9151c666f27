# SPDX-License-Identifier: MIT
# cmake -DCOMMAND="compiler;flags" [-DMESSAGE=regex] -P expect.cmake
# With MESSAGE the command must fail and print a match of it; without, it must succeed.
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE result OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(NOT MESSAGE)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "the command fails, and must succeed:\n${output}")
  endif()
elseif(result EQUAL 0)
  message(FATAL_ERROR "the command succeeds, and must fail with '${MESSAGE}'")
elseif(NOT output MATCHES "${MESSAGE}")
  message(FATAL_ERROR "the command fails without saying '${MESSAGE}':\n${output}")
endif()
