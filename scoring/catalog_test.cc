#include "scoring/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

TEST(Catalog, EmbeddedRowsAreThere) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.version().size(), 16U);
  ASSERT_NE(catalog.Grid("FR"), nullptr);
  EXPECT_DOUBLE_EQ(catalog.Grid("FR")->intensity.value.value(), 56.039);
  EXPECT_THAT(catalog.Grid("FR")->intensity.source, HasSubstr("2023"));
  EXPECT_EQ(catalog.Grid("XX"), nullptr);
}

TEST(Catalog, OneRegionNameIsTwoPlaces) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.ZoneOf("aws", "eu-west-2"), "GB");
  EXPECT_EQ(catalog.ZoneOf("outscale", "eu-west-2"), "FR");
  EXPECT_EQ(catalog.ZoneOf("ovhcloud", "GRA9"), "FR");
  EXPECT_FALSE(catalog.ZoneOf("ovhcloud", "BHS5"));
  EXPECT_FALSE(catalog.ZoneOf("", "eu-west-2"));
}

TEST(Catalog, EveryRegionsZoneHasAnIntensity) {
  const Catalog& catalog = Catalog::Embedded();
  for (const auto& [provider, region] :
       {std::pair("gcp", "europe-north1"), std::pair("azure", "westeurope"),
        std::pair("scaleway", "pl-waw")}) {
    const auto zone = catalog.ZoneOf(provider, region);
    ASSERT_TRUE(zone) << region;
    EXPECT_NE(catalog.Grid(*zone), nullptr) << *zone;
  }
}

TEST(Catalog, CaseDoesNotCount) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.ZoneOf("ovhcloud", "EU-WEST-PAR"), "FR");
  EXPECT_EQ(catalog.ZoneOf("ovhcloud", "gra11"), "FR");
  EXPECT_TRUE(catalog.PueOf("aws", "EU-Central-1").exact);
  EXPECT_TRUE(catalog.OfferOf("outscale", "EU-WEST-2"));
  EXPECT_EQ(catalog.HostOf("azure", "standard_d4s_v5").second, ProfileMatch::kInstanceType);
}

TEST(Catalog, AZoneWithoutARowIsToldByItsCountrys) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.Grid("AU-TAS")->zone, "AU");
  EXPECT_EQ(catalog.Grid("SE4")->zone, "SE");
  EXPECT_EQ(catalog.Grid("AU")->zone, "AU");
}

TEST(Catalog, RegionsOfThoseWhoBorrowASchemeHaveAPlace) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.ZoneOf("outscale", "us-east-2"), "US");
  EXPECT_EQ(catalog.ZoneOf("outscale", "ap-northeast-1"), "JP");
  EXPECT_EQ(catalog.ZoneOf("s3ns", "u-france-east1"), "FR");
  EXPECT_EQ(catalog.ZoneOf("bleu", "bleufrancesouth"), "FR");
  EXPECT_DOUBLE_EQ(catalog.PueOf("outscale", "eu-west-2").value.value(), 1.56);
}

TEST(Catalog, KnowsWhoRentsVirtualMachines) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_TRUE(catalog.RentsVirtualMachines("exoscale"));
  EXPECT_TRUE(catalog.RentsVirtualMachines("S3NS"));
  EXPECT_FALSE(catalog.RentsVirtualMachines("own"));
  EXPECT_FALSE(catalog.RentsVirtualMachines(""));
  EXPECT_FALSE(catalog.RentsVirtualMachines("equinixmetal"));
}

TEST(Catalog, ABadRowOfProvidersSaysWhatIsPossible) {
  const auto load = [](const std::string& row) {
    const std::string bytes =
        "clue,pattern,provider_id,provider,machine,source,year,method,licence\n" + row +
        ",us,2026,reading,own\n";
    const EmbeddedFile file{"providers.csv", bytes};
    return Catalog::Load({&file, 1}).status().message();
  };
  EXPECT_EQ(load("label,a/*,*,mine,virtual"), "");
  EXPECT_THAT(load("taint,a,*,mine,virtual"),
              HasSubstr("'taint' is none of label, instance_type, region, provider_id"));
  EXPECT_THAT(load("label,a,*,mine,cloud"),
              HasSubstr("'cloud' is none of -, virtual, server, unclear"));
}

TEST(Catalog, RegionsAreEachToldOnceWithoutPatterns) {
  const std::string own =
      "provider,region,zone,source,year,method,licence\n"
      "mine,cellar,FR,me,2026,reading,mine\n"
      "aws,eu-west-1,FR,me,2026,reading,mine\n";
  std::vector<EmbeddedFile> files = {{"regions.csv", own}};
  const auto embedded = Catalog::EmbeddedFiles();
  files.insert(files.end(), embedded.begin(), embedded.end());
  const Result<Catalog> catalog = Catalog::Load(files);
  ASSERT_TRUE(catalog.ok()) << catalog.status().message();
  const auto regions = catalog->Regions();
  ASSERT_EQ(regions.size(), Catalog::Embedded().Regions().size() + 1);
  EXPECT_EQ(regions[0].region, "cellar");
  std::int64_t dublins = 0;
  for (const auto& r : regions) {
    EXPECT_EQ(r.region.find('*'), std::string::npos);
    if (r.provider == "aws" && r.region == "eu-west-1") {
      ++dublins;
      EXPECT_EQ(r.zone, "FR");
    }
  }
  EXPECT_EQ(dublins, 1);
}

TEST(Catalog, FallsFromRegionToProviderToWorld) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_DOUBLE_EQ(catalog.PueOf("aws", "eu-central-1").value.value(), 1.35);
  EXPECT_TRUE(catalog.PueOf("aws", "eu-central-1").exact);
  EXPECT_DOUBLE_EQ(catalog.PueOf("aws", "eu-west-3").value.value(), 1.135);
  EXPECT_FALSE(catalog.PueOf("aws", "eu-west-3").exact);
  EXPECT_DOUBLE_EQ(catalog.PueOf("nobody", "").value.value(), 1.56);
  EXPECT_DOUBLE_EQ(catalog.HostOf("aws", "m6i.2xlarge").first.value.full.value(), 3.758);
  EXPECT_EQ(catalog.HostOf("aws", "m6i.2xlarge").second, ProfileMatch::kInstanceType);
  EXPECT_DOUBLE_EQ(catalog.HostOf("gcp", "").first.value.full.value(), 4.26);
  EXPECT_EQ(catalog.HostOf("gcp", "").second, ProfileMatch::kProvider);
  EXPECT_EQ(catalog.HostOf("ovhcloud", "b3-8").second, ProfileMatch::kWorld);
  EXPECT_EQ(catalog.HostOf("nobody", "x").second, ProfileMatch::kWorld);
}

TEST(Catalog, AStarInsideAnInstanceTypeStandsForDigits) {
  const Catalog& catalog = Catalog::Embedded();
  EXPECT_EQ(catalog.HostOf("azure", "Standard_D4s_v5").first.value.processor, "ice-lake");
  EXPECT_EQ(catalog.HostOf("azure", "Standard_D16as_v5").first.value.processor, "epyc-3");
  EXPECT_EQ(catalog.HostOf("azure", "Standard_D16plds_v5").second, ProfileMatch::kProvider);
}

TEST(Catalog, AUsersRowsComeBeforeTheEmbeddedOnes) {
  std::vector<EmbeddedFile> files = {
      {"/etc/own/pue.csv",
       "provider,region,pue,source,year,method,licence\nonprem,paris,1.2,bill,2026,measured,own\n"},
      {"/etc/own/grid.csv",
       "zone,name,gco2e_per_kwh,year,method,source,licence\nFR,France,20,2026,average,own,own\n"}};
  const auto embedded = Catalog::EmbeddedFiles();
  files.insert(files.end(), embedded.begin(), embedded.end());
  const Result<Catalog> catalog = Catalog::Load(files);
  ASSERT_TRUE(catalog.ok()) << catalog.status().message();
  EXPECT_EQ(catalog->PueOf("onprem", "paris").value, Pue(1.2));
  EXPECT_EQ(catalog->Grid("FR")->intensity.value, GramsPerKwh(20));
  EXPECT_EQ(catalog->PueOf("aws", "eu-west-1").value, Pue(1.11));
  EXPECT_NE(catalog->version(), Catalog::Embedded().version());
}

TEST(Catalog, FindsAnAcceleratorByTheWholeNameOfItsBoard) {
  const Catalog& catalog = Catalog::Embedded();
  const auto full = [&](std::string_view model) {
    const auto gpu = catalog.GpuOf(model);
    return gpu ? gpu->value.full.value() : 0.0;
  };
  const std::pair<const char*, double> kBoards[] = {
      {"NVIDIA-A100-SXM4-80GB", 407},
      {"A100-SXM4-40GB", 407},
      {"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", 407},
      {"NVIDIA-A100-PCIE-40GB", 255},
      {"NVIDIA-A100-80GB-PCIe", 306},
      {"NVIDIA-H100-80GB-HBM3", 714},
      {"NVIDIA H100 80GB HBM3", 714},
      {"NVIDIA-H100-PCIe", 357},
      {"NVIDIA-H100-NVL", 408},
      {"NVIDIA-H200", 714},
      {"Tesla-V100-SXM2-16GB", 306},
      {"Tesla-T4-SHARED", 71},
      {"NVIDIA A10G", 153},
      {"AMD_Instinct_MI300X_OAM", 765},
      {"H100", 714},
      {"h100-nvl", 408},
  };
  for (const auto& [model, watts] : kBoards) EXPECT_DOUBLE_EQ(full(model), watts) << model;
  for (const char* other : {"",
                            "-",
                            "NVIDIA",
                            "NVIDIA-H100",
                            "NVIDIA-A100",
                            "NVIDIA-GH200-480GB",
                            "NVIDIA-H200-NVL",
                            "NVIDIA-H100-64GB-HBM2",
                            "NVIDIA-A100-SXM-64GB",
                            "NVIDIA-H800",
                            "NVIDIA-A10",
                            "NVIDIA-A10-4Q",
                            "GRID-T4-8Q",
                            "NVIDIA-L40",
                            "NVIDIA-T400-4GB",
                            "NVIDIA-T4G",
                            "Tesla-V100-PCIE-32GB",
                            "Tesla-V100S-PCIE-32GB",
                            "Tesla-V100-SXM3-32GB",
                            "NVIDIA-B200",
                            "NVIDIA-RTX-A6000",
                            "AMD_Instinct_MI300X_VF",
                            "AMD_Instinct_MI300A",
                            "AMD_Instinct_MI325_OAM"})
    EXPECT_DOUBLE_EQ(full(other), 0) << other;
}

TEST(Catalog, AnOwnRowOfAnAcceleratorHasPrecedence) {
  constexpr std::string_view kHead =
      "model,idle_watts,max_watts,slices,source,year,method,licence\n";
  const std::string rows = std::string(kHead) +
                           "H100,80,700,7,meter,2026,measured,own\n"
                           "NVIDIA-B200,120,1020,7,meter,2026,measured,own\n"
                           "MI325,100,1000,1,meter,2026,measured,own\n";
  std::vector<EmbeddedFile> files = {{"/etc/own/gpu.csv", rows}};
  const auto embedded = Catalog::EmbeddedFiles();
  files.insert(files.end(), embedded.begin(), embedded.end());
  const Result<Catalog> catalog = Catalog::Load(files);
  ASSERT_TRUE(catalog.ok()) << catalog.status().message();
  EXPECT_DOUBLE_EQ(catalog->GpuOf("NVIDIA-H100-80GB-HBM3")->value.full.value(), 700);
  EXPECT_DOUBLE_EQ(catalog->GpuOf("NVIDIA-H100-PCIe")->value.full.value(), 357);
  EXPECT_DOUBLE_EQ(catalog->GpuOf("NVIDIA-B200")->value.full.value(), 1020);
  EXPECT_DOUBLE_EQ(catalog->GpuOf("AMD_Instinct_MI325")->value.full.value(), 1000);
  EXPECT_FALSE(catalog->GpuOf("AMD_Instinct_MI325_OAM"));
}

TEST(Catalog, SaysWhichResourcesDrawNothing) {
  constexpr std::string_view kRows =
      "resource,draws,source,year,method,licence\n"
      "acme.com/*,nothing,us,2026,a licence,own\n"
      "smarter-devices/fuse,unknown,us,2026,ours is another,own\n";
  const auto catalog = CatalogWith({{"resources.csv", kRows}});
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("smarter-devices/fuse"), true);
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("rdma/hca_shared_devices_a"), true);
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("habana.ai/gaudi"), false);
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("nvidia.com/mig-1c.3g.20gb"), false);
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("acme.com/seat"), std::nullopt);
  EXPECT_EQ(Catalog::Embedded().DrawsNothing("gpu.intel.com/i915"), std::nullopt);
  EXPECT_EQ(catalog->DrawsNothing("acme.com/seat"), true);
  EXPECT_EQ(catalog->DrawsNothing("smarter-devices/fuse"), false);
  constexpr std::string_view kBad =
      "resource,draws,source,year,method,licence\na/b,5 W,x,2026,m,l\n";
  const EmbeddedFile bad{"resources.csv", kBad};
  EXPECT_THAT(Catalog::Load({&bad, 1}).status().message(),
              HasSubstr("resources.csv:2: column 'draws': '5 W' is neither nothing nor unknown"));
}

TEST(Catalog, ABadRowIsNamedByFileAndLine) {
  const auto load = [](std::string_view bytes) {
    const EmbeddedFile file{"grid.csv", bytes};
    return Catalog::Load({&file, 1}).status().message();
  };
  const std::string header = "zone,name,gco2e_per_kwh,year,method,source,licence\n";
  EXPECT_THAT(load(header + "FR,France,fifty,2023,average,x,MIT\n"),
              HasSubstr("grid.csv:2: column 'gco2e_per_kwh': 'fifty'"));
  EXPECT_THAT(load(header + "FR,France,56,2023,average,x,MIT\nDE,Germany\n"),
              HasSubstr("grid.csv:3: 2 columns"));
  EXPECT_THAT(load(header + "FR,France,56,2023,average,x,\n"),
              HasSubstr("column 'licence' is empty"));
  EXPECT_THAT(load("zone,year\nFR,2023\n"), HasSubstr("no column 'gco2e_per_kwh'"));
  EXPECT_THAT(load(""), HasSubstr("empty"));
  const EmbeddedFile stranger{"weather.csv", "a\n"};
  EXPECT_THAT(Catalog::Load({&stranger, 1}).status().message(),
              HasSubstr("no file of the catalogue"));
}

}  // namespace
}  // namespace sobre
