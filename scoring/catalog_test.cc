#include "scoring/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(Catalog, FindsAcceleratorsByWholeWords) {
  const Catalog& catalog = Catalog::Embedded();
  ASSERT_TRUE(catalog.GpuOf("NVIDIA-A100-SXM4-80GB"));
  EXPECT_DOUBLE_EQ(catalog.GpuOf("NVIDIA-A100-SXM4-80GB")->value.full.value(), 407);
  EXPECT_DOUBLE_EQ(catalog.GpuOf("NVIDIA A10G")->value.full.value(), 153);
  EXPECT_FALSE(catalog.GpuOf("NVIDIA-T400-4GB"));
  EXPECT_FALSE(catalog.GpuOf(""));
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
