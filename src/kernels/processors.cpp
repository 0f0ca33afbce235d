#include "kernels/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <thread>

namespace speculators {
namespace {

// The first line of a file of /proc or /sys; empty when there is none.
std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Processors that share a core name the same siblings, so the number of different lists is the number of cores.
int count_allowed_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
    return static_cast<int>(std::thread::hardware_concurrency());
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string number = std::to_string(cpu);
    const std::string siblings = read_line("/sys/devices/system/cpu/cpu" + number + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu " + number : siblings);
  }
  return static_cast<int>(cores.size());
}

double quota_of_folder(const std::string& folder) {
  std::istringstream v2(read_line(folder + "/cpu.max"));  // "200000 100000" or "max 100000"
  double quota = 0, period = 0;
  if (v2 >> quota >> period && period > 0) return quota / period;
  std::istringstream v1_quota(read_line(folder + "/cpu.cfs_quota_us"));
  std::istringstream v1_period(read_line(folder + "/cpu.cfs_period_us"));
  if (v1_quota >> quota && v1_period >> period && quota > 0 && period > 0) return quota / period;
  return std::numeric_limits<double>::infinity();
}

// The tightest quota of our control group and its ancestors, in processors.
double find_quota() {
  double quota = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" (v2) or "1:cpu,cpuacct:/path" (v1)
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    while (true) {
      quota = std::min(quota, quota_of_folder("/sys/fs/cgroup/" + controllers + path));
      if (path.size() <= 1) break;
      path.resize(path.find_last_of('/'));
    }
  }
  return quota;
}

}  // namespace

int count_usable_cores() {
  const double quota = std::ceil(find_quota());
  const int cores = std::max(1, count_allowed_cores());
  return quota < cores ? std::max(1, static_cast<int>(quota)) : cores;
}

}  // namespace speculators
