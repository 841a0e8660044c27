// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parts of a tensor on several threads that finish out of order give the reference's bits: every method, selections
// with ties in every place, samples that mislead.
#include "src/base/in_order.h"
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace gpumerge {
namespace {

using testing::Choice;
using testing::Describe;
using testing::JobSpec;
using testing::MakeJob;
using testing::MakeTestJob;
using testing::RunTestJob;
using testing::TestJob;
using testing::TestResult;

struct PartResult {
  TestResult result;
  uint32_t n_readings = 0;
};

// Runs a job in parts of at most that many elements, as the threads come to them; those of a reading that writes are
// of another size. No thread may be waited for by one with an earlier part.
class PartsRun {
 public:
  PartsRun(Backend& backend, const TestJob& test, uint64_t part_elems, uint32_t n_threads)
      : workers_(*backend.part_workers()), test_(test), n_threads_(n_threads) {
    const PassList passes = Methods()[test.job.method].passes(test.job);
    cut_ = CutElems(test.job, passes);
    part_elems_ = (part_elems + cut_ - 1) / cut_ * cut_;
    n_reads_ = TotalReads(passes);
    result_.output.assign(test.job.n_elems * ElementBytes(test.job.out_dtype), std::byte{0xee});
    result_.state = backend.NewState(test.job, passes);
  }

  PartResult Run() {
    const Work whole{.job = &test_.job, .state = result_.state.get(), .n_elems = test_.job.n_elems, .inputs = {}};
    uint32_t n_readings = 0;
    for (bool goes_on = true; goes_on; ++n_readings) {
      const auto read = [&](std::span<const uint64_t> places, const PartWorkers::Visit& visit) {
        for (const uint64_t first : places) {
          EXPECT_LE(first + PartWorkers::kSampleElems, test_.job.n_elems);
          std::vector<const std::byte*> inputs(test_.inputs.size());
          Place(first, inputs.data());
          visit(first, inputs.data());
        }
      };
      workers_.BeginReading(whole, n_readings % n_threads_, read);
      order_.Restart();
      RunReading(workers_.Writes(*result_.state));
      goes_on = workers_.EndReading(whole, (n_readings + 1) % n_threads_);
      if (n_readings > 40) throw std::runtime_error("no end of readings");
    }
    return {std::move(result_), n_readings};
  }

 private:
  void Place(uint64_t first, const std::byte** inputs) const {
    for (size_t i = 0; i < test_.inputs.size(); ++i)
      inputs[i] = test_.inputs[i].data() + first * ElementBytes(test_.job.inputs[i].dtype);
  }

  void RunReading(bool writes) {
    const uint64_t n_elems = test_.job.n_elems;
    const uint64_t part_elems = writes && part_elems_ > cut_ ? part_elems_ - cut_ : part_elems_;
    std::mutex mutex;
    uint64_t next = 0;
    std::vector<std::thread> threads;
    for (uint32_t worker = 0; worker < n_threads_; ++worker)
      threads.emplace_back([&, worker] {
        std::mt19937 random(worker + 1);
        while (true) {
          Work part{.job = &test_.job, .state = result_.state.get(), .inputs = {}, .last_read = n_reads_};
          {
            const std::lock_guard lock(mutex);
            part.first_elem = next;
            part.n_elems = std::min(part_elems, n_elems - next);
            next += part.n_elems;
          }
          if (part.n_elems == 0) return;
          for (auto i = random() % 3; i > 0; --i) std::this_thread::yield();
          part.inputs.resize(test_.inputs.size());
          Place(part.first_elem, part.inputs.data());
          if (writes) part.output = result_.output.data() + part.first_elem * ElementBytes(test_.job.out_dtype);
          workers_.RunPart(part, worker, order_);
        }
      });
    for (std::thread& thread : threads) thread.join();
  }

  PartWorkers& workers_;
  const TestJob& test_;
  const uint32_t n_threads_;
  uint64_t cut_ = 0, part_elems_ = 0;
  uint32_t n_reads_ = 0;
  TestResult result_;
  InOrder order_;
};

TestResult OnReference(const TestJob& test) { return RunTestJob(*MakeReferenceBackend(), test, 0); }

void ExpectSameFinding(const std::optional<NonFinite>& expected, const std::optional<NonFinite>& found) {
  ASSERT_EQ(expected.has_value(), found.has_value());
  if (!expected) return;
  EXPECT_EQ(expected->first_index, found->first_index);
  EXPECT_EQ(expected->count, found->count);
  EXPECT_EQ(expected->largest_finite, found->largest_finite);
}

void ExpectSame(const TestResult& expected, const TestResult& found, const TestJob& test) {
  const auto differs = std::mismatch(expected.output.begin(), expected.output.end(), found.output.begin()).first;
  ASSERT_TRUE(differs == expected.output.end())
      << "byte " << differs - expected.output.begin() << " of " << Describe(test);
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i)
    ExpectSameFinding(expected.state->InputNonFinite(i), found.state->InputNonFinite(i));
  ExpectSameFinding(expected.state->OutputOverflow(), found.state->OutputOverflow());
  EXPECT_EQ(expected.state->UsedLerp(), found.state->UsedLerp()) << Describe(test);
  EXPECT_EQ(expected.state->Loss().error_squares, found.state->Loss().error_squares) << Describe(test);
  EXPECT_EQ(expected.state->Loss().change_squares, found.state->Loss().change_squares) << Describe(test);
  const DataProblem *problem = expected.state->Problem(), *found_problem = found.state->Problem();
  ASSERT_EQ(problem != nullptr, found_problem != nullptr) << Describe(test);
  if (problem != nullptr) {
    EXPECT_EQ(std::string(problem->message), std::string(found_problem->message)) << Describe(test);
  }
}

// One backend for 1 to 8 threads: what a job leaves behind must not show in the next.
class PartWorkersTest : public ::testing::Test {
 protected:
  PartResult InParts(const TestJob& test, uint64_t part_elems, uint32_t n_threads) {
    return PartsRun(*backend_, test, part_elems, n_threads).Run();
  }
  // Returns the most readings.
  uint32_t ExpectSameInParts(const TestJob& test, const std::vector<uint64_t>& parts_elems) {
    const TestResult expected = OnReference(test);
    uint32_t n_readings = 0;
    for (const uint64_t part_elems : parts_elems)
      for (const uint32_t n_threads : {1u, 3u, 8u}) {
        const PartResult found = InParts(test, part_elems, n_threads);
        ExpectSame(expected, found.result, test);
        n_readings = std::max(n_readings, found.n_readings);
        if (HasFatalFailure()) return n_readings;
      }
    return n_readings;
  }

  const std::unique_ptr<Backend> backend_ = MakeCpuBackend(8, "");
};

class EveryMethodInParts : public PartWorkersTest, public ::testing::WithParamInterface<uint32_t> {};

TEST_P(EveryMethodInParts, SameBits) {
  for (uint32_t variant = 0; variant < 6; ++variant) {
    const uint64_t n_elems = variant % 2 == 0 ? 80'003 : 100'800;  // one row, and rows of many
    ExpectSameInParts(MakeTestJob(GetParam(), 3, n_elems, {DType::kBF16, DType::kF32}, DType::kBF16, variant),
                      {kBlockElems, 3 * kBlockElems});
    if (HasFatalFailure()) return;
  }
}

TEST_P(EveryMethodInParts, FindsValuesThatAreNotFinite) {
  for (const uint64_t at : {uint64_t{0}, uint64_t{4095}, uint64_t{4096}, uint64_t{70'000}}) {
    TestJob test = MakeTestJob(GetParam(), 3, 70'001, {DType::kF32}, DType::kF32, 0);
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()};
    for (const uint64_t place : {at, (at + 30'000) % 70'001})
      std::memcpy(test.inputs.back().data() + place * sizeof(float), &values[at % 2], sizeof(float));
    const PartResult found = InParts(test, kBlockElems, 5);
    const std::optional<NonFinite> bad =
        found.result.state->InputNonFinite(static_cast<uint32_t>(test.inputs.size() - 1));
    ASSERT_TRUE(bad.has_value()) << Describe(test);
    EXPECT_EQ(bad->first_index, std::min(at, (at + 30'000) % 70'001));
    EXPECT_EQ(bad->count, 2u);
  }
}

std::vector<uint32_t> MethodRows() {
  std::vector<uint32_t> rows(Methods().size());
  for (uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
  return rows;
}

INSTANTIATE_TEST_SUITE_P(All, EveryMethodInParts, ::testing::ValuesIn(MethodRows()),
                         [](const auto& row) { return std::string(Methods()[row.param].info->name); });

constexpr uint64_t kParts = 20, kElems = kParts * kBlockElems;

// Two models of these differences to a base of zeros.
TestJob SelectingJob(std::string_view method, const std::vector<float>& differences, double density,
                     std::string_view rescale = "false") {
  std::vector<float> other = differences;
  std::rotate(other.begin(), other.begin() + 1234, other.end());
  JobSpec spec{.method = method, .inputs = {std::vector<float>(differences.size()), differences, other}};
  spec.params = {{"weight", {1, 0.7}}, {"density", {density, std::min(1.0, density * 1.5)}}};
  spec.params["rescale"] = {Choice(method, "rescale", rescale)};
  if (method.starts_with("breadcrumbs")) spec.params["gamma"] = {0.01, 0.1};
  spec.dtypes = {DType::kF32, DType::kBF16, DType::kF32};
  return MakeJob(spec);
}

// The last tie to keep stands at the end of a part, at the begin of the next, around there, and at the tensor's ends.
TEST_F(PartWorkersTest, TheLastTieAtAnyPlaceOfAPart) {
  const std::vector<float> all_equal(kElems, 0.25f);
  for (const uint64_t kept : {uint64_t{1}, kBlockElems, 7 * kBlockElems, 8 * kBlockElems, kElems - 1})
    for (const int64_t beside : {-1, 0, 1}) {
      const double wanted = static_cast<double>(kept) + static_cast<double>(beside);
      const double density = std::clamp(wanted / static_cast<double>(kElems), 0.0, 1.0);
      ExpectSameInParts(SelectingJob("ties", all_equal, density), {kBlockElems, 4 * kBlockElems});
      if (HasFatalFailure()) return;
    }
}

TEST_F(PartWorkersTest, TiesAllOverThePartsAndReductionsAfterThem) {
  std::mt19937_64 random(3);
  std::vector<float> values(kElems);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 7) - 3) * 0.125f;
  for (const char* method : {"ties", "breadcrumbs", "breadcrumbs_ties"})
    for (const char* rescale : {"false", "l1", "l2"})
      for (const double density : {0.2, 0.5, 0.86}) {
        ExpectSameInParts(SelectingJob(method, values, density, rescale), {kBlockElems, 5 * kBlockElems});
        if (HasFatalFailure()) return;
      }
}

// Ties in one part only, all the others between.
TEST_F(PartWorkersTest, TiesInOnePartOnly) {
  for (const uint64_t part : {uint64_t{0}, uint64_t{9}, kParts - 1}) {
    std::vector<float> values(kElems);
    for (uint64_t i = 0; i < kElems; ++i) values[i] = static_cast<float>(i * 7919 % kElems) * 0x1p-20f;
    std::fill_n(values.begin() + static_cast<long>(part * kBlockElems), kBlockElems, 0x1p-5f);
    for (const double density : {0.55, 0.6, 0.61, 0.99}) {
      ExpectSameInParts(SelectingJob("ties", values, density, "l1"), {kBlockElems});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(PartWorkersTest, KeepingNothingOneOrAll) {
  std::mt19937_64 random(4);
  std::vector<float> values(kElems);
  for (float& value : values) value = static_cast<float>(random() % 100'000) * 1e-6f;
  const uint32_t likely = 3;  // two selections' count is one pass; l1 sums; the merge
  for (const double density : {0.0, 1e-9, 1.0 / kElems, 1.0}) {
    const TestJob test = SelectingJob("ties", values, density, "l1");
    const uint32_t n_readings = ExpectSameInParts(test, {2 * kBlockElems});
    if (HasFatalFailure()) return;
    if (density == 0 || density == 1) {
      EXPECT_LT(n_readings, likely) << density;  // no count is needed
    }
  }
}

// Sums of columns are added in the tensor's order, of whichever parts it comes in.
TEST_F(PartWorkersTest, ColumnsAndRowsOverParts) {
  std::mt19937_64 random(6);
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{kElems / 64, 64}, {8, kElems / 8}, {kElems, 1}})
    for (const double row_wise : {0.0, 1.0}) {
      std::vector<std::vector<float>> inputs(3, std::vector<float>(kElems));
      for (std::vector<float>& input : inputs)
        for (float& value : input) value = static_cast<float>(random() % 100'000 + 1) * 1e-6f;
      JobSpec spec{.method = "nuslerp", .inputs = std::move(inputs), .with_base = true, .shape = shape};
      spec.params = {{"weight", {1, 0.7}}, {"nuslerp_row_wise", {row_wise}}, {"nuslerp_flatten", {0}}};
      ExpectSameInParts(MakeJob(spec), {kBlockElems, 3 * kBlockElems});
      if (HasFatalFailure()) return;
    }
}

// The sample is taken at known places: what stands there says nothing about the rest.
TEST_F(PartWorkersTest, ASampleThatMisleadsCostsAReadingAndNoBit) {
  std::mt19937_64 random(5);
  for (const float in_sample : {0.0f, 8.0f, 0x1p-6f}) {
    std::vector<float> values(kElems * 2);
    for (float& value : values) value = static_cast<float>(random() % 100'000 + 1) * 1e-6f;
    const uint64_t stride = kElems * 2 / 16 / kBlockElems * kBlockElems;  // as cpu_select.cpp has it
    for (uint64_t run = 0; run < 16; ++run)
      for (uint64_t i = 0; i < PartWorkers::kSampleElems; ++i) values[run * stride + i] = in_sample;
    JobSpec spec{.method = "ties", .inputs = {std::vector<float>(values.size()), values, values}};
    spec.params = {{"weight", {1, 0.7}}, {"density", {0.4, 0.4}}};
    const uint32_t n_readings = ExpectSameInParts(MakeJob(spec), {3 * kBlockElems});
    if (HasFatalFailure()) return;
    EXPECT_GT(n_readings, 2u) << in_sample;  // else the sample did not mislead, and this tests nothing
  }
}

// Small tensors go whole, on any worker, while others are worked on.
TEST_F(PartWorkersTest, WholeTensorsSideBySide) {
  std::vector<TestJob> tests;
  for (uint32_t method = 0; method < Methods().size(); ++method)
    for (const uint64_t n : {0u, 1u, 5000u, 65'536u})
      tests.push_back(MakeTestJob(method, 3, n, {DType::kBF16}, DType::kF32, method + static_cast<uint32_t>(n)));
  std::vector<TestResult> results(tests.size());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (uint32_t worker = 0; worker < 8; ++worker)
    threads.emplace_back([&, worker] {
      for (size_t t = next++; t < tests.size(); t = next++) {
        const MergeJob& job = tests[t].job;
        const PassList passes = Methods()[job.method].passes(job);
        results[t].state = backend_->NewState(job, passes);
        results[t].output.resize(job.n_elems * ElementBytes(job.out_dtype));
        Work work{.job = &job,
                  .state = results[t].state.get(),
                  .n_elems = job.n_elems,
                  .inputs = {},
                  .last_read = TotalReads(passes)};
        for (const auto& input : tests[t].inputs) work.inputs.push_back(input.data());
        work.output = results[t].output.data();
        backend_->part_workers()->RunWhole(work, worker);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < tests.size(); ++t) ExpectSame(OnReference(tests[t]), results[t], tests[t]);
}

// A run that is stopped: whoever waits for its turn gives up by an error, so that nobody takes its part for done.
TEST_F(PartWorkersTest, AStoppedPartIsAnError) {
  const TestJob test = SelectingJob("ties", std::vector<float>(kElems, 0.25f), 0.5);
  const PassList passes = Methods()[test.job.method].passes(test.job);
  const std::unique_ptr<JobState> state = backend_->NewState(test.job, passes);
  PartWorkers& workers = *backend_->part_workers();
  const auto place = [&](uint64_t first, Work* part) {
    for (size_t i = 0; i < test.inputs.size(); ++i)
      part->inputs.push_back(test.inputs[i].data() + first * ElementBytes(test.job.inputs[i].dtype));
  };
  const PartWorkers::Reader read = [&](std::span<const uint64_t> places, const PartWorkers::Visit& visit) {
    for (const uint64_t first : places) {
      Work part;
      place(first, &part);
      visit(first, part.inputs.data());
    }
  };
  Work whole{.job = &test.job, .state = state.get(), .n_elems = kElems, .inputs = {}, .last_read = TotalReads(passes)};
  InOrder order;
  workers.BeginReading(whole, 0, read);
  ASSERT_FALSE(workers.Writes(*state));
  Work all = whole;
  place(0, &all);
  workers.RunPart(all, 0, order);
  ASSERT_TRUE(workers.EndReading(whole, 0));
  workers.BeginReading(whole, 0, read);
  ASSERT_TRUE(workers.Writes(*state));
  order.Restart();
  std::vector<std::byte> output(kBlockElems * ElementBytes(test.job.out_dtype));
  Work second = whole;
  second.first_elem = second.n_elems = kBlockElems;
  place(kBlockElems, &second);
  second.output = output.data();
  order.Stop();
  EXPECT_THROW(workers.RunPart(second, 1, order), Error);
}

}  // namespace
}  // namespace gpumerge
