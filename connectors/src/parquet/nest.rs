//! Columns in structs: the dots in their names become fields in fields.
//!
//! A struct is null where all of its fields are null, and never where one of them never is. Everything else about a column is as if
//! it were flat: a nested batch is made from the flat arrays, without a copy.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{Field, FieldRef, Fields};

use super::declared::Nested;
use super::schema::Column;

/// Where each column stands.
#[derive(Clone, Debug)]
pub struct Layout(Vec<Node>);

#[derive(Clone, Debug)]
enum Node {
    /// The column with this number.
    Leaf(String, usize),
    Struct(String, Vec<Node>),
}

impl Layout {
    /// Of these columns; their names are each other's prefix nowhere.
    pub fn new(columns: &[Column], nested: Nested) -> Self {
        let mut nodes = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            match nested {
                Nested::Flatten => nodes.push(Node::Leaf(column.name.clone(), at)),
                Nested::Struct => insert(&mut nodes, &column.name, at),
            }
        }
        Self(nodes)
    }

    /// The fields, in the order of their first columns.
    pub fn fields(&self, columns: &[Column]) -> Vec<FieldRef> {
        self.0.iter().map(|node| Arc::new(node.field(columns))).collect()
    }

    /// The arrays of the fields, from those of the columns.
    pub fn arrays(&self, fields: &[FieldRef], columns: Vec<ArrayRef>) -> Vec<ArrayRef> {
        if self.0.iter().all(|node| matches!(node, Node::Leaf(..))) {
            return columns;
        }
        self.0.iter().zip(fields).map(|(node, field)| node.array(field, &columns)).collect()
    }
}

fn insert(nodes: &mut Vec<Node>, name: &str, at: usize) {
    let Some((outer, inner)) = name.split_once('.') else {
        nodes.push(Node::Leaf(name.to_owned(), at));
        return;
    };
    let known = nodes.iter_mut().find_map(|node| match node {
        Node::Struct(known, inside) if known == outer => Some(inside),
        _ => None,
    });
    match known {
        Some(inside) => insert(inside, inner, at),
        None => {
            let mut inside = Vec::new();
            insert(&mut inside, inner, at);
            nodes.push(Node::Struct(outer.to_owned(), inside));
        }
    }
}

impl Node {
    fn field(&self, columns: &[Column]) -> Field {
        match self {
            Self::Leaf(name, at) => columns[*at].field(name),
            Self::Struct(name, inside) => {
                let fields: Fields = inside.iter().map(|node| node.field(columns)).collect();
                let is_nullable = fields.iter().all(|field| field.is_nullable());
                Field::new_struct(name, fields, is_nullable)
            }
        }
    }

    fn array(&self, field: &FieldRef, columns: &[ArrayRef]) -> ArrayRef {
        let inside = match self {
            Self::Leaf(_, at) => return columns[*at].clone(),
            Self::Struct(_, inside) => inside,
        };
        let arrow_schema::DataType::Struct(fields) = field.data_type() else {
            unreachable!("a struct's field was made as one")
        };
        let arrays: Vec<ArrayRef> = inside.iter().zip(fields).map(|(node, field)| node.array(field, columns)).collect();
        let nulls = field.is_nullable().then(|| any_valid(&arrays)).flatten();
        Arc::new(StructArray::new(fields.clone(), arrays, nulls))
    }
}

/// Valid where one of the arrays is; `None` where that is everywhere.
fn any_valid(arrays: &[ArrayRef]) -> Option<NullBuffer> {
    let mut valid: Option<BooleanBuffer> = None;
    for array in arrays {
        let own = array.nulls().filter(|nulls| nulls.null_count() > 0)?.inner();
        valid = Some(match valid {
            Some(others) => &others | own,
            None => own.clone(),
        });
    }
    valid.map(NullBuffer::new)
}
