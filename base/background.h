#pragma once

namespace sobre {

// The calling thread steps back for good: where processors are scarce, threads that answer requests
// go first. Where the system refuses it nothing changes.
void StepBack();

// The calling thread answers requests, each in a fraction of a millisecond: it is to run as soon as
// it is woken, before threads that run for long. No more of the processor is taken. Where the
// system refuses it nothing changes.
void AnswerSoon();

// What the calling thread is called by ps, top, gdb, perf and /debug/process; cut after 15 bytes,
// which is all that Linux keeps.
void NameThread(const char* name);

}  // namespace sobre
