// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge devices`: what there is to merge on. A machine without a GPU, or with a broken one, is no error here.
#include "src/base/text.h"
#include "src/cli/commands.h"
#include "src/cli/json_text.h"
#include "src/cli/machine.h"
#include "src/cpu/isa.h"
#include "src/run/device.h"

#include "gpumerge/backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>

namespace gpumerge::cli {
namespace {

// Names come from drivers.
std::string Clean(std::string_view text) { return EscapeForTerminal(text, 1000); }

LinkResult Measure(const GpuInfo& gpu) {
  if (gpu.problem) return {};
  try {
    return {MeasureLink(gpu.index), std::nullopt};
  } catch (const Error& error) {
    return {std::nullopt, error.diagnostics().front()};
  }
}

CpuSummary SummariseCpu() {
  CpuSummary cpu;
  try {
    for (const CpuIsaMethods* isa : UsableIsas()) cpu.usable.emplace_back(isa->isa);
    cpu.chosen = MakeCpuBackend(0, "")->Info().detail;
  } catch (const Error& error) {
    cpu.problem = error.diagnostics().front();
  }
  return cpu;
}

AutoChoice ChooseAuto() {
  try {
    const ChosenDevices devices = ChooseDevices({});
    return {DeviceText(devices.pointers()), devices.why, std::nullopt};
  } catch (const Error& error) {
    return {"", "", error.diagnostics().front()};
  }
}

std::string ProblemText(const Diagnostic& problem, std::string_view indent) {
  std::string text = fmt::format("{}[{}] {}\n", indent, Info(problem.code).code, Clean(problem.message));
  if (!problem.found.empty()) text += fmt::format("{}found: {}\n", indent, Clean(problem.found));
  if (!problem.expected.empty()) text += fmt::format("{}expected: {}\n", indent, Clean(problem.expected));
  if (!problem.help.empty()) text += fmt::format("{}{}\n", indent, Clean(problem.help));
  return text;
}

std::string GpuText(const GpuInfo& gpu, const LinkResult& link) {
  std::string text = fmt::format("  {}  {}", gpu.index, Clean(gpu.name));
  if (!gpu.compute_capability.empty()) text += fmt::format(", compute capability {}", gpu.compute_capability);
  if (!gpu.pci_bus.empty()) text += fmt::format(", bus {}", Clean(gpu.pci_bus));
  text += "\n";
  if (gpu.memory_bytes > 0)
    text += fmt::format("     {} of memory, {} free\n", FormatBytes(gpu.memory_bytes), FormatBytes(gpu.free_bytes));
  if (link.bandwidth)
    text +=
        fmt::format("     {:.1f} GB/s from pinned memory to the GPU, {:.1f} GB/s back\n",
                    link.bandwidth->to_device_bytes_per_second / 1e9, link.bandwidth->to_host_bytes_per_second / 1e9);
  if (link.problem) text += "     not measured:\n" + ProblemText(*link.problem, "       ");
  if (gpu.problem) text += "     cannot be used:\n" + ProblemText(*gpu.problem, "       ");
  return text;
}

std::string GpusText(const Machine& machine) {
  const GpuSurvey& survey = machine.survey;
  std::string text = "GPUs\n";
  for (size_t i = 0; i < survey.gpus.size(); ++i) text += GpuText(survey.gpus[i], machine.links[i]);
  if (survey.problem)
    text += (survey.gpus.empty() ? "  none\n" : "  none of them can be used\n") + ProblemText(*survey.problem, "  ");
  if (!survey.driver_version.empty()) text += fmt::format("  driver {}", Clean(survey.driver_version));
  if (!survey.runtime_version.empty())
    text += fmt::format("{}CUDA runtime {}", survey.driver_version.empty() ? "  " : ", ", survey.runtime_version);
  return text.ends_with('\n') ? text : text + "\n";
}

std::string CpuText(const CpuSummary& cpu) {
  if (cpu.problem) return "CPU\n  cannot be used:\n" + ProblemText(*cpu.problem, "    ");
  return fmt::format("CPU\n  {} (instruction sets that work here, for --isa: {})\n", cpu.chosen,
                     fmt::join(cpu.usable, ", "));
}

std::string AutoText(const AutoChoice& choice) {
  if (choice.problem) return "--device auto fails\n" + ProblemText(*choice.problem, "  ");
  return fmt::format("--device auto, the default, takes\n  {}\n  because: {}\n", Clean(choice.device),
                     Clean(choice.why));
}

}  // namespace

int DevicesCommand(const Arguments& arguments) {
  Machine machine;
  machine.survey = SurveyGpus();
  for (const GpuInfo& gpu : machine.survey.gpus)
    machine.links.push_back(arguments.measure ? Measure(gpu) : LinkResult{});
  machine.cpu = SummariseCpu();
  machine.choice = ChooseAuto();
  PrintResult(arguments.json
                  ? MachineAsJson(machine)
                  : fmt::format("{}\n{}\n{}", GpusText(machine), CpuText(machine.cpu), AutoText(machine.choice)));
  return 0;
}

}  // namespace gpumerge::cli
