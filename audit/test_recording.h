#pragma once

#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "audit/recorder.h"
#include "audit/schema.h"
#include "audit/test_case.h"
#include "scoring/random_world.h"

namespace sobre {

// A folder of its own for each test, with databases by name; decisions on worlds by number.
class RecordingTest : public ::testing::Test {
 protected:
  static constexpr Duration kLong = std::chrono::seconds(60);

  RecordingTest() { std::filesystem::create_directories(folder_); }
  ~RecordingTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] Result<std::unique_ptr<Database>> Open(const std::string& name) const {
    return Migrated(OpenSqlite(folder_ + "/" + name + ".db", SqliteMode::kReadWrite));
  }
  // Pod "uid-NUMBER"; bound to n0 or still without a node.
  static void Place(Recorder& recorder, unsigned number, bool bind = true) {
    RandomWorld random(number);
    DecisionRequest request = RequestFor(random.policy);
    request.pod.uid = "uid-" + std::to_string(number);
    auto made = recorder.Take();
    *made = *CaseFor(random.world.Snapshot(), random.names, request);
    made->answered = Now();
    recorder.Offer(std::move(made));
    if (bind) recorder.PodSeen(request.pod.uid, "n0");
  }

  const std::string folder_ =
      testing::TempDir() + "/recording" + std::to_string(std::random_device()());
};

}  // namespace sobre
