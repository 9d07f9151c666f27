// SPDX-License-Identifier: MIT
module heapduel/reference

go 1.19
