# cmake -DNPM=npm -DFOLDER=web -DMARK=file -P npm_ci.cmake
# Installs what package-lock.json pins, unless that is what stands there already.
file(LOCK ${FOLDER}/.npm.lock GUARD PROCESS TIMEOUT 600)
file(SHA256 ${FOLDER}/package-lock.json wanted)
set(installed "")
if(EXISTS ${MARK})
  file(READ ${MARK} installed)
endif()
if(NOT installed STREQUAL wanted)
  execute_process(COMMAND ${NPM} ci --no-audit --no-fund WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE result
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "npm ci failed in ${FOLDER}: is there a network?\n${text}")
  endif()
endif()
file(WRITE ${MARK} ${wanted})
