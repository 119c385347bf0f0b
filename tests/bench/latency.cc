// bench_latency PORT PATH BODY_FILE COUNT [PAUSE_US [CONNECTIONS]]: posts the file COUNT times over
// each of the connections (one), and prints the median and the 99th percentile of the round trips,
// in microseconds, and how many there were a second.
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/text.h"

namespace {

bool SendAll(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

// One whole answer into `answer`; false unless it is a 200.
bool ReadAnswer(int fd, std::string& answer) {
  answer.clear();
  std::array<char, 1 << 16> buffer;
  std::size_t whole = 0;
  while (whole == 0 || answer.size() < whole) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) return false;
    answer.append(buffer.data(), static_cast<std::size_t>(n));
    const std::size_t end = answer.find("\r\n\r\n");
    if (whole != 0 || end == std::string::npos) continue;
    const std::size_t at = answer.find("Content-Length: ");
    const std::size_t stop = answer.find('\r', at);
    if (at == std::string::npos) return false;
    whole = end + 4 +
            static_cast<std::size_t>(
                sobre::ParseInteger(answer.substr(at + 16, stop - at - 16)).value_or(0));
  }
  return answer.starts_with("HTTP/1.1 200");
}

struct Load {
  std::uint16_t port = 0;
  std::string request;
  std::size_t count = 1;
  // From one request to the next; without it, as fast as answers come.
  std::chrono::microseconds pause{0};
};

int Connect(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? fd : -1;
}

// Of `count` requests, the microseconds that each took; none where one had no answer.
std::vector<double> Ask(int fd, const Load& load, std::size_t count) {
  std::vector<double> microseconds;
  std::string answer;
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (!SendAll(fd, load.request) || !ReadAnswer(fd, answer)) {
      std::fprintf(stderr, "no answer: %s\n", answer.substr(0, 300).c_str());
      return {};
    }
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    microseconds.push_back(took.count());
    if (load.pause.count() > 0) std::this_thread::sleep_until(start + load.pause);
  }
  return microseconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 7) return 2;
  const auto number = [&](int at, std::int64_t otherwise) {
    return argc > at ? sobre::ParseInteger(argv[at]).value_or(otherwise) : otherwise;
  };
  std::ifstream file(argv[3], std::ios::binary);
  const std::string body{std::istreambuf_iterator<char>(file), {}};
  Load load;
  load.port = static_cast<std::uint16_t>(number(1, 0));
  load.count = static_cast<std::size_t>(number(4, 1));
  load.pause = std::chrono::microseconds(number(5, 0));
  load.request =
      std::string("POST ") + argv[2] +
      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  const auto connections = static_cast<std::size_t>(number(6, 1));
  std::vector<std::vector<double>> took(connections);
  std::vector<int> open;
  for (std::size_t i = 0; i < connections; ++i) open.push_back(Connect(load.port));
  if (std::find(open.begin(), open.end(), -1) != open.end()) return 1;
  std::barrier warm(static_cast<std::ptrdiff_t>(connections) + 1);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&, i] {
      Ask(open[i], load, load.count / 10 + 1);
      warm.arrive_and_wait();
      took[i] = Ask(open[i], load, load.count);
    });
  }
  warm.arrive_and_wait();
  const auto start = std::chrono::steady_clock::now();
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> lasted = std::chrono::steady_clock::now() - start;
  std::vector<double> all;
  for (const auto& one : took) all.insert(all.end(), one.begin(), one.end());
  if (all.size() != connections * load.count) return 1;
  std::sort(all.begin(), all.end());
  std::printf("%.1f %.1f %.0f\n", all[all.size() / 2], all[all.size() * 99 / 100],
              static_cast<double>(all.size()) / lasted.count());
  std::fflush(stdout);
  // The connections stay until whoever asked has looked at the server's threads behind them.
  while (std::getchar() != EOF) {
  }
  return 0;
}
