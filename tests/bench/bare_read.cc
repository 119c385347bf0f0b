// bench_bare_read KUBECONFIG [PAGE]: lists nodes, namespaces and pods as `sobre serve` asks for
// them, each on a connection and a thread of its own, and throws the bytes away. Prints how many
// bytes came, and in how many milliseconds.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/text.h"
#include "k8s/kubeconfig.h"
#include "k8s/watch_frames.h"
#include "net/http_client.h"

namespace {

// The token of the next page, from a page's first bytes: the list's metadata comes before its
// objects.
std::string TokenOf(std::string_view page) {
  sobre::ListFrames frames;
  return frames.Feed(page, [](std::string_view) {}).ok() ? frames.next() : std::string();
}

bool ReadAll(const sobre::ApiAccess& access, const std::string& path, const std::string& page_size,
             std::atomic<std::size_t>& total) {
  constexpr std::size_t kEnough = 1024;
  const std::atomic<bool> stop = false;
  sobre::HttpClient client(access.tls);
  const sobre::Result<std::vector<std::string>> headers = access.Headers();
  if (!headers.ok()) return false;
  std::string token;
  do {
    sobre::HttpCall call;
    call.headers = *headers;
    call.headers.emplace_back("Accept: application/vnd.kubernetes.protobuf");
    call.headers.emplace_back("Accept-Encoding: identity");
    call.timeout = std::chrono::seconds(0);
    call.url = access.server + path + "limit=" + page_size;
    if (!token.empty()) call.url += "&continue=" + sobre::PercentEncode(token);
    std::string head;
    const sobre::Result<sobre::HttpReply> reply =
        client.Stream(call, std::chrono::seconds(60), stop, [&](std::string_view bytes) {
          total += bytes.size();
          if (head.size() < kEnough) head += bytes.substr(0, kEnough - head.size());
          return true;
        });
    if (!reply.ok() || reply->status != 200) {
      std::fprintf(
          stderr, "%s: %s\n", call.url.c_str(),
          reply.ok() ? std::to_string(reply->status).c_str() : reply.status().message().c_str());
      return false;
    }
    token = TokenOf(head);
  } while (!token.empty());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 2;
  const sobre::Result<sobre::ApiAccess> access = sobre::LoadKubeconfig(argv[1], "");
  if (!access.ok()) {
    std::fprintf(stderr, "%s\n", access.status().message().c_str());
    return 1;
  }
  const std::string page_size = argc == 3 ? argv[2] : "500";
  constexpr std::array<const char*, 3> kLists = {
      "/api/v1/nodes?", "/api/v1/namespaces?",
      "/api/v1/pods?fieldSelector=status.phase!%3DSucceeded%2Cstatus.phase!%3DFailed&"};
  const auto start = std::chrono::steady_clock::now();
  std::atomic<std::size_t> total = 0;
  std::atomic<bool> failed = false;
  std::vector<std::thread> readers;
  readers.reserve(kLists.size());
  for (const char* list : kLists)
    readers.emplace_back([&, list] {
      if (!ReadAll(*access, list, page_size, total)) failed = true;
    });
  for (std::thread& reader : readers) reader.join();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (failed) return 1;
  std::printf("%zu %.1f\n", total.load(), took.count());
  return 0;
}
