// SPDX-License-Identifier: MIT
// cmocka wants these before its own header.
#ifndef NONMOVING_TEST_CM_H
#define NONMOVING_TEST_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
