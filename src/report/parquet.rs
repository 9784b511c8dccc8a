//! The tables of a result as Parquet files, with the cargo feature `parquet`: the columns of the CSV tables, with types.
//!
//! Texts are strings, numbers are nullable doubles (null is a number that does not exist), counts are unsigned 64-bit integers.

use super::result::ScenarioResult;
use super::tables::{Cell, Table};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// One column, its kind given by its name.
enum Column {
    Texts(Vec<ByteArray>),
    /// Those that exist, and for every row whether it does.
    Numbers(Vec<f64>, Vec<i16>),
    Counts(Vec<i64>),
}

impl Column {
    fn named(name: &str) -> Column {
        match name {
            "comparison" | "process" | "function" | "kind" | "name" => Column::Texts(vec![]),
            "paths" | "n" => Column::Counts(vec![]),
            _ => Column::Numbers(vec![], vec![]),
        }
    }

    fn schema(&self, name: &str) -> String {
        match self {
            Column::Texts(_) => format!("REQUIRED BYTE_ARRAY {name} (STRING);"),
            Column::Numbers(..) => format!("OPTIONAL DOUBLE {name};"),
            Column::Counts(_) => format!("REQUIRED INT64 {name} (INTEGER(64,false));"),
        }
    }

    /// Whether the cell is of the column's kind; then it is added.
    fn push(&mut self, cell: Cell) -> bool {
        match (self, cell) {
            (Column::Texts(all), Cell::Text(text)) => all.push(text.into_bytes().into()),
            (Column::Numbers(all, levels), Cell::Number(x)) => {
                levels.push(i16::from(!x.is_nan()));
                all.extend(Some(x).filter(|x| !x.is_nan()));
            }
            // The same 64 bits, read back as unsigned.
            (Column::Counts(all), Cell::Count(n)) => all.push(n.cast_signed()),
            _ => return false,
        }
        true
    }
}

/// The file beside a CSV file.
pub fn beside(csv: &Path) -> std::path::PathBuf {
    csv.with_extension("parquet")
}

/// Writes a table.
///
/// # Errors
/// The writer's.
pub fn write(table: &Table, result: &ScenarioResult, to: impl Write + Send) -> io::Result<()> {
    let mut columns: Vec<Column> = table.columns.iter().map(|c| Column::named(c)).collect();
    let mut of_one_kind = true;
    table.rows(result, &mut |row| {
        for (column, cell) in columns.iter_mut().zip(row) {
            of_one_kind &= column.push(cell);
        }
    });
    if !of_one_kind {
        return Err(io::Error::other("a column with cells of two kinds"));
    }
    let fields = columns.iter().zip(table.columns);
    let fields: String = fields.map(|(c, name)| c.schema(name)).collect();
    let schema = format!("message table {{ {fields} }}");
    let failed = |e: ParquetError| io::Error::other(e);
    let schema = Arc::new(parse_message_type(&schema).map_err(failed)?);
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(to, schema, properties).map_err(failed)?;
    let mut group = file.next_row_group().map_err(failed)?;
    for column in &columns {
        let Some(mut writer) = group.next_column().map_err(failed)? else {
            break;
        };
        match column {
            Column::Texts(all) => writer.typed::<ByteArrayType>().write_batch(all, None, None),
            Column::Numbers(all, levels) => {
                writer
                    .typed::<DoubleType>()
                    .write_batch(all, Some(levels), None)
            }
            Column::Counts(all) => writer.typed::<Int64Type>().write_batch(all, None, None),
        }
        .map_err(failed)?;
        writer.close().map_err(failed)?;
    }
    group.close().map_err(failed)?;
    file.close().map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::fixture::ornstein_uhlenbeck;
    use crate::report::plots::slow_fixture::hyperbola;
    use crate::report::tables::TABLES;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    /// Every cell of every table comes back, with all its bits.
    #[test]
    fn tables_come_back() {
        let mut rows = 0;
        for result in [hyperbola(), ornstein_uhlenbeck()] {
            for table in &TABLES {
                let file = tempfile::tempfile().expect("temporary file");
                write(table, &result, &file).expect("written");
                let mut there = vec![];
                table.rows(&result, &mut |row| there.push(row));
                let file = SerializedFileReader::new(file).expect("a file");
                let schema = file.metadata().file_metadata().schema_descr();
                let names: Vec<&str> = schema.columns().iter().map(|c| c.name()).collect();
                assert_eq!(names, table.columns, "{}", table.name);
                let back: Vec<_> = file.get_row_iter(None).expect("rows").collect();
                assert_eq!(back.len(), there.len(), "{}", table.name);
                rows += back.len();
                for (row, cells) in back.into_iter().zip(there) {
                    let row = row.expect("a row");
                    for ((name, field), cell) in row.get_column_iter().zip(cells) {
                        let same = match (field, &cell) {
                            (Field::Str(a), Cell::Text(b)) => a == b,
                            (Field::Double(a), Cell::Number(b)) => a.to_bits() == b.to_bits(),
                            (Field::Null, Cell::Number(b)) => b.is_nan(),
                            (Field::ULong(a), Cell::Count(b)) => a == b,
                            _ => false,
                        };
                        assert!(same, "{} {name}: {field:?} for {cell:?}", table.name);
                    }
                }
            }
        }
        assert!(rows > 500, "{rows}");
    }
}
