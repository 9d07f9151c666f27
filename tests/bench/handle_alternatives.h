// SPDX-License-Identifier: MIT
// Seven ways to refer to an object, compared by handle_alternatives.c (memory) and handle_time.c.
//
// Note [alternatives]
//   entry8   now: an entry of 8 bytes holds place, size and slots; objects have no header
//   header   the same, and a header of 8 bytes before the object (Alaska, main branch)
//   entry4   entry of 4 bytes: 31 bits of place, and MOVING, which readers mask. Size and slots are the
//            slab's; objects of rare shapes have entries of 8, of which the low half is the same
//   alias    the same, but the object space is mapped twice, so that readers need not mask
//   ref32    a reference is an index of 32 bits, entry8 behind it
//   group    eight neighbours share an entry of 8; place = entry ^ offset, which the reference holds
//   direct   no handle and no move: Go's size classes. direct32: the same with references of 32 bits
#ifndef HANDLE_ALTERNATIVES_H
#define HANDLE_ALTERNATIVES_H

typedef enum handle_kind {
  ENTRY8,
  HEADER,
  ENTRY4,
  ALIAS,
  REF32,
  GROUP,
  DIRECT,
  DIRECT32,
  KINDS
} handle_kind;
static const char *const handle_kind_names[KINDS] = {"entry8", "header", "entry4", "alias",
                                                     "ref32",  "group",  "direct", "direct32"};
enum { GROUP_SLOTS = 8 }; // objects that share an entry of `group`

// Nanoseconds per access as a Markdown table: medians of `rounds` interleaved rounds, with or without
// huge pages under objects and tables. One thread; 1 GB.
void handle_time_print(int rounds, int huge_pages);

// Each alternative leads from object to object as it was built, and writes where it should. Aborts if not.
void handle_time_check(void);

#endif
