#pragma once

namespace sobre {

// The calling thread steps back for good: where processors are scarce, threads that answer requests
// go first. Where the system refuses it nothing changes.
void StepBack();

}  // namespace sobre
