#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "base/json_writer.h"
#include "base/mutex.h"

namespace sobre {
namespace {

constexpr std::size_t kMaxValue = 2000;
constexpr Duration kQuiet = std::chrono::minutes(1);
constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warning", "error"};

std::atomic<LogLevel> threshold = LogLevel::kInfo;

// Where a message comes from: as many as the code has calls of Log().
struct Place {
  std::string_view file;
  int line = 0;
  auto operator<=>(const Place&) const = default;
};
struct Voice {
  LogLevel level = LogLevel::kInfo;
  std::string message;  // the last one
  LogLimit limit;
};

// Never destroyed: threads may still speak as the program ends.
struct Voices {
  Mutex mutex;
  std::map<Place, Voice> by_place SOBRE_GUARDED_BY(mutex);
};
Voices& AllVoices() {
  static auto* const voices = new Voices;
  return *voices;
}

std::string_view ComponentOf(std::string_view file) {
  file.remove_prefix(file.rfind('/') + 1);
  return file.substr(0, file.find('.'));
}

std::string_view Shortened(std::string_view text) { return text.substr(0, kMaxValue); }

// FormatTime() leaves out milliseconds where there are none.
std::string FixedTime(Timestamp time) {
  std::string text = FormatTime(time);
  if (text.find('.') == std::string::npos) text.insert(text.size() - 1, ".000");
  return text;
}

void Write(Timestamp now, LogLevel level, std::string_view component, std::string_view message,
           std::uint64_t left_out, std::initializer_list<LogField> fields) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("ts").Value(FixedTime(now)).Key("level").Value(ToString(level));
  json.Key("component").Value(component).Key("msg").Value(Shortened(message));
  if (left_out > 0) json.Key("left_out").Value(left_out);
  for (const auto& [key, value] : fields) json.Key(key).Value(Shortened(value));
  json.EndObject();
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

std::string_view ToString(LogLevel level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kNames.begin());
}

void SetLogThreshold(LogLevel least) { threshold.store(least, std::memory_order_relaxed); }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields,
         const char* file, int line) {
  if (level < threshold.load(std::memory_order_relaxed)) return;
  const Timestamp now = Now();
  std::uint64_t left_out = 0;
  {
    Voices& voices = AllVoices();
    const MutexLock lock(voices.mutex);
    Voice& voice = voices.by_place[{file, line}];
    voice.level = level;
    voice.message = Shortened(message);
    if (!voice.limit.Admit(now)) return;
    left_out = voice.limit.TakeLeftOut();
  }
  Write(now, level, ComponentOf(file), message, left_out, fields);
}

void TellLeftOut(bool now_all) {
  const Timestamp now = Now();
  Voices& voices = AllVoices();
  const MutexLock lock(voices.mutex);
  for (auto& [place, voice] : voices.by_place) {
    if (!voice.limit.HasToTell(now, now_all ? Duration(0) : kQuiet)) continue;
    Write(now, voice.level, ComponentOf(place.file), voice.message, voice.limit.TakeLeftOut(), {});
  }
}

bool LogLimit::Admit(Timestamp now) {
  // A clock that was set back must not silence anybody.
  if (used_ == 0 || now < since_) since_ = now;
  const auto regained = static_cast<int>(
      std::min<std::int64_t>((now - since_) / kEach, static_cast<std::int64_t>(used_)));
  used_ -= regained;
  since_ += regained * kEach;
  last_ = now;
  if (used_ == kAtOnce) {
    ++left_out_;
    return false;
  }
  ++used_;
  return true;
}

std::uint64_t LogLimit::TakeLeftOut() { return std::exchange(left_out_, 0); }

bool LogLimit::HasToTell(Timestamp now, Duration quiet) const {
  return left_out_ > 0 && (now - last_ >= quiet || now < last_);
}

}  // namespace sobre
