"""What can be wrong or doubtful about a cell of a file, or about what the caller says of it."""

from app.kit.problems import Kind

ambiguous_name = Kind(
    "ambiguous_name",
    id="{value} cocok dengan beberapa: {allowed}; sebutkan kodenya lewat resolutions",
    en="{value} fits several: {allowed}; name the code in resolutions",
)
unresolved_subactivity = Kind(
    "unresolved_subactivity",
    id="sub kegiatan {value} tidak ada pada kegiatannya dalam nomenklatur {edition}; terdekat: {nearest}",
    en="sub-activity {value} is not in its activity in nomenclature {edition}; nearest: {nearest}",
)
unknown_agency = Kind(
    "unknown_agency",
    id="perangkat daerah {value} belum terdaftar; terdekat: {nearest}. "
    "Daftarkan, pakai resolutions, atau new_agencies=create",
    en="agency {value} is not registered; nearest: {nearest}. Register it, use resolutions, or new_agencies=create",
)
cell_required = Kind("cell_required", id="sel ini wajib diisi", en="this cell must be filled")
unresolved_place = Kind(
    "unresolved_place",
    id="lokasi {value} tidak dapat dipastikan di wilayah rencana; teksnya disimpan. Terdekat: {nearest}",
    en="the place {value} could not be told in the plan's region; its words are kept. Nearest: {nearest}",
)
unused_resolution = Kind(
    "unused_resolution",
    id="resolutions untuk {value} tidak cocok dengan sel mana pun",
    en="the resolution for {value} fits no cell",
)
other_name = Kind(
    "other_name",
    id="{value} tidak sama dengan nama kode {code}, yaitu {name}; yang dipakai kodenya",
    en="{value} is not the name of the code {code}, which is {name}; the code was used",
)
other_code = Kind(
    "other_code",
    id="kode {value} tidak dikenal; namanya cocok dengan {code}, itulah yang dipakai",
    en="the code {value} is not known; its name is that of {code}, which was used",
)
merged_agency = Kind(
    "merged_agency",
    id="perangkat daerah {value} sudah digabung; barisnya menjadi milik {code} {name}",
    en="agency {value} was merged; its line belongs to {code} {name}",
)
not_in_force_yet = Kind(
    "not_in_force_yet",
    id="baris ini belum berlaku; realisasinya dapat dilaporkan setelah perubahan rencana ditetapkan",
    en="this line is not in force yet; report its spending once the amendment is adopted",
)
no_amendment = Kind(
    "no_amendment",
    id="alasan hanya untuk perubahan rencana; rencana ini tidak sedang diubah",
    en="a reason belongs to an amendment; this plan is not being amended",
)
basis_required = Kind(
    "basis_required",
    id="nyatakan basis: cumulative atau period; berkas ini memuat kolom realisasi",
    en="state basis: cumulative or period; this file has realisation columns",
)
